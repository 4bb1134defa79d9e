// g++ -fsanitize=alignment,bounds,... calls these where a kernel's behaviour is
// undefined. With -fsanitize-undefined-trap-on-error it traps instead.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "device_memory.h"
#include "errors.h"
#include "fibers.h"

namespace emulator {

namespace {

// With this begin the data of every handler.
struct Location {
  const char* file;
  uint32_t line;
  uint32_t column;
};

[[noreturn]] void report_undefined(const char* what, const Location* at) {
  if (!in_kernel) {
    std::fprintf(stderr, "%s, at %s:%u\n", what, at->file, at->line);
    std::abort();
  }
  report("undefined behaviour, %s, at %s:%u", what, at->file, at->line);
  abandon_launch();
}

[[noreturn]] void report_misaligned(const void* address, const Location* at) {
  if (const char* buffer = describe_device_address(address)) {
    char what[300];
    std::snprintf(what, sizeof what, "misaligned access to %s", buffer);
    report_undefined(what, at);
  }
  report_undefined("misaligned access", at);
}

} // namespace

} // namespace emulator

using emulator::Location;
using emulator::report_misaligned;
using emulator::report_undefined;

extern "C" {

void __ubsan_handle_type_mismatch_v1(const Location* at, const void* address) {
  report_misaligned(address, at);
}

void __ubsan_handle_out_of_bounds(const Location* at) {
  report_undefined("array index out of bounds", at);
}

void __ubsan_handle_shift_out_of_bounds(const Location* at) {
  report_undefined("shift out of range", at);
}

void __ubsan_handle_add_overflow(const Location* at) {
  report_undefined("integer overflow", at);
}

void __ubsan_handle_sub_overflow(const Location* at) {
  report_undefined("integer overflow", at);
}

void __ubsan_handle_mul_overflow(const Location* at) {
  report_undefined("integer overflow", at);
}

void __ubsan_handle_negate_overflow(const Location* at) {
  report_undefined("integer overflow", at);
}

void __ubsan_handle_divrem_overflow(const Location* at) {
  report_undefined("division by zero or overflow", at);
}

} // extern "C"
