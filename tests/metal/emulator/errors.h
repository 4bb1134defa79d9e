// The errors found so far.
#pragma once

namespace emulator {

// Adds who was running, if a kernel was.
void report(const char* format, ...) __attribute__((format(printf, 1, 2)));
int error_count();

// "symbol+0x12 (file+0x345)": the latter is what addr2line wants. Valid until
// the next call.
const char* describe_address(const void* address);

} // namespace emulator
