// What the GPU is asked to do for a contraction, in plain C++ without MLX or
// Metal: which kernels, on what grids, with which buffers and parameters.
// eval.cpp encodes it on a Mac; the tests run the same plan on the CPU.
#pragma once

#include <string>
#include <vector>

#include "../geometry.h"

namespace mlx_convt::metal {

enum class Element { Float32, Float16, BFloat16 };

int64_t size_of(Element element); // bytes

// The contraction's operands are in the order x, w, y, as in cpu::Buffers.
struct Problem {
  Contraction contraction;
  Geometry geometry;
  Element element;
  bool has_bias;
  // The operands begin at multiples of 16 bytes.
  bool first_is_aligned;
  bool second_is_aligned;
};

struct Gpu {
  int generation; // of Apple's GPUs: 13 is the M1's, 15 the M3's
};

// A kernel text and the macros that make it one function.
struct Specialisation {
  struct Define {
    std::string name;
    std::string value;
  };

  std::string kernel;
  std::vector<Define> defines; // CT_NAME, the function's name, is the first

  const std::string& name() const {
    return defines[0].value;
  }
};

enum class Memory { First, Second, Bias, Result, Temporary, Constants };

// What a kernel finds at one buffer index.
struct Slot {
  Memory memory;
  int index = 0; // of a temporary or of constants
  bool is_written = false;
};

struct Launch {
  Specialisation specialisation;
  Triple grid; // threadgroups
  int64_t threads; // of a threadgroup, along x
  std::vector<Slot> slots; // by buffer index
};

struct LaunchPlan {
  std::vector<Launch> launches; // each after the one before it
  std::vector<int64_t> temporaries; // bytes, written before they are read
  std::vector<std::vector<int>> constants;
};

// Throws std::invalid_argument where a size is out of the kernels' range: all
// their integers but memory offsets have 32 bits. The result is not empty.
LaunchPlan make_plan(const Problem& problem, const Gpu& gpu);

} // namespace mlx_convt::metal
