// The fibers' stacks, and the switch from one to another.
#pragma once

#include <cstdint>

// Saves the registers that a call keeps and goes on with another stack.
extern "C" void emulator_switch(void** save_stack, void* stack);

namespace emulator {

// A stack on which emulator_switch begins `entry`, never to return from it.
void* fresh_stack(uint32_t thread, void (*entry)());
void* stack_end(uint32_t thread);

inline constexpr int kNoStack = -1;
inline constexpr int kStackOverflow = -2;
// The thread in whose stack an address is, or one of the above.
int stack_owner(const void* address);

} // namespace emulator
