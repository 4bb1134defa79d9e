// Groups of one channel: no sum over channels, so that vectors run along
// them.
#pragma once

#include <string>

#include "problem.h"

namespace mlx_convt::cpu {

std::string depthwise_why_not(const Problem&);
void run_depthwise(const Problem&, const Buffers&);

} // namespace mlx_convt::cpu
