// A fork-join pool for the CPU engine.
#pragma once

#include <cstdint>
#include <functional>

namespace mlx_convt::cpu {

// MLX_CONVT_NUM_THREADS, or else the number of processors that the process may
// run on; read once. Throws std::runtime_error when the variable is no
// positive integer.
int num_threads();

// Calls body(i) for every i in [0, count), on the caller and on the pool's
// threads; returns when all are done and rethrows the first exception. `work`
// is the total in multiply-adds or moved elements: little of it stays on the
// caller. Which thread runs which i is not fixed, so no result may depend on
// it. A caller that finds the pool busy with another stream's work, or calls
// from a forked child, does everything itself.
void parallel_for(
    int64_t count,
    double work,
    const std::function<void(int64_t)>& body);

} // namespace mlx_convt::cpu
