// Whether and how winograd.cpp lays out the phases of a problem.
#pragma once

#include "plan.h"

namespace mlx_convt::cpu {

struct WinogradLayout {
  Plan plan;
  double cycles; // in the units of cost.h
};

// The fastest layout of an Output's or InputGrad's phases.
WinogradLayout winograd_layout(const Problem&);

} // namespace mlx_convt::cpu
