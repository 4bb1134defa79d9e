// The kernels' files, carried in the extension as text: a Mac compiles them
// when they are first used, and nobody needs Xcode.
#pragma once

#include <string>

namespace mlx_convt::metal {

// By its name without the ending, "correlate"; written by embed_metal.py.
std::string source_file(const std::string& name);

} // namespace mlx_convt::metal
