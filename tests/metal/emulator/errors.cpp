// Keeps the first errors as text and counts all of them.
#include "errors.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "fibers.h"
#include "runtime.h"

namespace emulator {

namespace {

constexpr int kKept = 12;
int count = 0;
std::string text;

std::string demangled(const char* symbol) {
  int status = 0;
  char* plain = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  std::string name = plain ? plain : symbol;
  std::free(plain);
  // The parameters of a kernel are long and tell nothing.
  return name.substr(0, name.find('('));
}

} // namespace

void report(const char* format, ...) {
  if (++count > kKept) {
    return;
  }
  char line[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  text += line;
  if (in_kernel) {
    const ThreadIds& ids = thread_ids();
    std::snprintf(
        line,
        sizeof line,
        " [threadgroup (%u, %u, %u) SIMD-group %u lane %u]",
        ids.threadgroup[0],
        ids.threadgroup[1],
        ids.threadgroup[2],
        ids.simd_group,
        ids.lane);
    text += line;
  }
  text += '\n';
}

int error_count() {
  return count;
}

const char* describe_address(const void* address) {
  static std::string described;
  char offset[32];
  Dl_info info;
  if (!dladdr(address, &info)) {
    std::snprintf(offset, sizeof offset, "%p", address);
    return (described = offset).c_str();
  }
  const char* at = static_cast<const char*>(address);
  const char* slash = std::strrchr(info.dli_fname, '/');
  const char* file = slash ? slash + 1 : info.dli_fname;
  described.clear();
  if (info.dli_sname) {
    std::snprintf(
        offset,
        sizeof offset,
        "+0x%tx ",
        at - static_cast<const char*>(info.dli_saddr));
    described = demangled(info.dli_sname) + offset;
  }
  std::snprintf(
      offset,
      sizeof offset,
      "+0x%tx",
      at - static_cast<const char*>(info.dli_fbase));
  described += std::string("(") + file + offset + ")";
  return described.c_str();
}

const char* errors() {
  return text.c_str();
}

void clear_errors() {
  count = 0;
  text.clear();
}

} // namespace emulator
