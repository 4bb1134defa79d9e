// What this machine reaches at best, for the roofline of the benchmark.
#pragma once

#include <cstdint>

namespace mlx_convt::cpu {

// Multiplications and additions per second of independent chains of fused
// multiply-adds in registers, on all threads of the engine at once, with the
// active instruction set; the best of several trials.
template <typename T>
double peak_flops();

// Seconds in which all threads together read `read_bytes` and write
// `write_bytes` once, each its own share, over and over: what fits a cache is
// in it. The best of several trials of three ways: reads and writes in turn
// by blocks of 64 KiB, all reads before all writes, and writes by memset,
// which passes the caches by where that pays. The memory is plain, as that
// of MLX's arrays is.
double stream_seconds(int64_t read_bytes, int64_t write_bytes);

} // namespace mlx_convt::cpu
