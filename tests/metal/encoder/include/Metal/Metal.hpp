// What kernels/metal/eval.cpp uses of metal-cpp, which only Macs can have.
#pragma once

#include <cstdint>

namespace NS {

using UInteger = std::uintptr_t;

} // namespace NS

namespace MTL {

class Function;
class Library;
enum DataType : NS::UInteger {};

class ComputePipelineState {
 public:
  NS::UInteger maxTotalThreadsPerThreadgroup() const;
};

struct Size {
  Size(NS::UInteger width, NS::UInteger height, NS::UInteger depth)
      : width(width), height(height), depth(depth) {}

  NS::UInteger width;
  NS::UInteger height;
  NS::UInteger depth;
};

} // namespace MTL
