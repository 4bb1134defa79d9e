// Whether kernels are built with the hooks that the checks live on.
#pragma once

namespace emulator {

// Set by the first hook that a launch calls.
extern bool saw_instrumentation;

} // namespace emulator
