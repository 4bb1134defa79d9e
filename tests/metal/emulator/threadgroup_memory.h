// The arrays that the threads of a threadgroup share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

// Between launches the arrays are forgotten, between threadgroups filled with
// NaNs.
void forget_threadgroup_arrays();
void poison_threadgroup_arrays();
uint64_t threadgroup_bytes();

// False where no array is near the address.
bool check_threadgroup_access(
    const void* address,
    size_t bytes,
    bool is_write,
    const void* instruction);

} // namespace emulator
