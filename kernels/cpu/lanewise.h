// Groups of few channels: no matrix to speak of, so that every lane of a
// vector sums for a result channel of its own.
#pragma once

#include <string>

#include "problem.h"

namespace mlx_convt::cpu {

std::string lanewise_why_not(const Problem&);
bool lanewise_suits(const Problem&);
void run_lanewise(const Problem&, const Buffers&);

} // namespace mlx_convt::cpu
