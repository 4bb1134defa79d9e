// Output for few output channels: they would not fill a vector, so a strip of
// the source is turned, channels into rows, and the vectors run along the
// positions.
#pragma once

#include <string>

#include "problem.h"

namespace mlx_convt::cpu {

std::string strip_why_not(const Problem&);
bool strip_suits(const Problem&);
void run_strip(const Problem&, const Buffers&);

} // namespace mlx_convt::cpu
