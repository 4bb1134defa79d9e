// The ordered list of CPU algorithms.
#pragma once

#include <span>
#include <string>

#include "problem.h"

namespace mlx_convt::cpu {

struct Algorithm {
  const char* name;
  // Empty when the algorithm can run the problem, else the reason.
  std::string (*why_not)(const Problem&);
  // Whether it is worth choosing, given that it can run.
  bool (*suits)(const Problem&);
  void (*run)(const Problem&, const Buffers&);
};

// Fastest first; the first that can run a problem and suits it is taken. The
// last, the reference, always can and does.
std::span<const Algorithm> algorithms();

// Throws std::invalid_argument, listing the valid names.
const Algorithm* find_algorithm(const std::string& name);

// The algorithm that the environment variable MLX_CONVT_ALGORITHM names, or
// null for the automatic choice.
const Algorithm* forced_algorithm();

void run(const Algorithm* forced, const Problem&, const Buffers&);

} // namespace mlx_convt::cpu
