// Polyphase algorithms: Output and InputGrad as correlations (correlate.h),
// WeightGrad as a reduction over pixels (weight_grad.h).
#pragma once

#include <string>

#include "problem.h"

namespace mlx_convt::cpu {

std::string polyphase_why_not(const Problem&);
void run_polyphase(const Problem&, const Buffers&);

std::string dot_why_not(const Problem&);
bool dot_suits(const Problem&);
void run_dot(const Problem&, const Buffers&);

std::string blas_algorithm_why_not(const Problem&);
void run_blas(const Problem&, const Buffers&);

} // namespace mlx_convt::cpu
