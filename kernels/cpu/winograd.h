// Output and InputGrad by Winograd's minimal filtering; see winograd_plan.h.
#pragma once

#include <string>

#include "problem.h"

namespace mlx_convt::cpu {

std::string winograd_why_not(const Problem&);
bool winograd_suits(const Problem&);
void run_winograd(const Problem&, const Buffers&);

} // namespace mlx_convt::cpu
