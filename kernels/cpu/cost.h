// What the ways to compute Output and InputGrad would cost, in cycles of a
// core that does two vector products in each. Only their order matters.
#pragma once

#include "problem.h"

namespace mlx_convt::cpu {

// Whether the phases of the last axis are better computed at once, as columns.
bool fold_suits(const Problem&);

// Whether tiles multiply bfloat16 pairs: Output and InputGrad with an even
// number of channels to sum over, where the processor can.
bool multiplies_pairs(const Problem&);

double tile_cycles(const Problem&);
double dot_cycles(const Problem&);
double strip_cycles(const Problem&); // Output only

} // namespace mlx_convt::cpu
