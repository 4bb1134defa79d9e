#include "algorithms.h"

#include <cstdlib>
#include <stdexcept>

#include "blas.h"
#include "lanewise.h"
#include "polyphase.h"
#include "reference.h"
#include "strip.h"
#include "winograd.h"

namespace mlx_convt::cpu {
namespace {

bool always(const Problem&) {
  return true;
}

} // namespace

std::span<const Algorithm> algorithms() {
  // Without a destructor: streams may still compute while the process exits.
  static constexpr Algorithm list[] = {
      {"lanewise", lanewise_why_not, lanewise_suits, run_lanewise},
      {"strip", strip_why_not, strip_suits, run_strip},
      {"dot", dot_why_not, dot_suits, run_dot},
      {"blas",
       blas_algorithm_why_not,
       [](const Problem&) { return blas_is_preferred(); },
       run_blas},
      {"winograd", winograd_why_not, winograd_suits, run_winograd},
      {"polyphase", polyphase_why_not, always, run_polyphase},
      {"reference",
       [](const Problem&) { return std::string(); },
       always,
       run_reference},
  };
  return list;
}

const Algorithm* find_algorithm(const std::string& name) {
  std::string names;
  for (auto& algorithm : algorithms()) {
    if (name == algorithm.name) {
      return &algorithm;
    }
    names += std::string(", ") + algorithm.name;
  }
  throw std::invalid_argument(
      "[mlx_convt] MLX_CONVT_ALGORITHM must be one of auto" + names + ". Got " +
      name + ".");
}

const Algorithm* forced_algorithm() {
  const char* name = std::getenv("MLX_CONVT_ALGORITHM");
  if (!name || !*name || std::string(name) == "auto") {
    return nullptr;
  }
  return find_algorithm(name);
}

void run(
    const Algorithm* forced,
    const Problem& problem,
    const Buffers& buffers) {
  if (forced) {
    return forced->run(problem, buffers);
  }
  for (auto& algorithm : algorithms()) {
    if (algorithm.why_not(problem).empty() && algorithm.suits(problem)) {
      return algorithm.run(problem, buffers);
    }
  }
}

} // namespace mlx_convt::cpu
