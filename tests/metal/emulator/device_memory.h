// Buffers, each in address space of its own between wide guards.
#pragma once

#include <cstddef>

namespace emulator {

// False where no buffer is near the address.
bool check_device_access(
    const void* address,
    size_t bytes,
    bool is_write,
    const void* instruction);

// "x+8 of 16 bytes" for an address in or near a buffer, else null.
const char* describe_device_address(const void* address);

void start_counting_device_bytes();
size_t device_bytes_loaded();
size_t device_bytes_stored();

void report_unwritten_output(const void* buffer);

} // namespace emulator
