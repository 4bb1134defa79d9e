// Output and InputGrad for very few channels: they would fill neither a vector
// nor a panel row, so the vectors run along the last spatial axis.
#pragma once

#include <string>

#include "problem.h"

namespace mlx_convt::cpu {

std::string planar_why_not(const Problem&);
bool planar_suits(const Problem&);
void run_planar(const Problem&, const Buffers&);

} // namespace mlx_convt::cpu
