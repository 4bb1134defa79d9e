#pragma once

#include "isa/kernels.h"
#include "problem.h"

namespace mlx_convt::cpu {

// Sums in double, whatever the dtype.
void run_reference(const Problem&, const Buffers&);

} // namespace mlx_convt::cpu
