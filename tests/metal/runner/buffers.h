// A problem's arrays, and the buffers of its plan in the emulator.
#pragma once

#include <algorithm>
#include <vector>

#include "../emulator/runtime.h"
#include "metal/plan.h"
#include "runner.h"

namespace runner {

using mlx_convt::Contraction;
using mlx_convt::Geometry;
using mlx_convt::Triple;
using mlx_convt::metal::LaunchPlan;
using mlx_convt::metal::Memory;
using mlx_convt::metal::Problem;
using mlx_convt::metal::Slot;

inline Triple triple(const int64_t* values) {
  return {values[0], values[1], values[2]};
}

inline Problem problem_of(const RunnerProblem& p) {
  Geometry geometry{
      p.batch,
      triple(p.in),
      triple(p.kernel),
      triple(p.out),
      triple(p.stride),
      triple(p.padding),
      triple(p.dilation),
      p.c_in,
      p.c_out,
      p.groups};
  return {
      static_cast<Contraction>(p.contraction),
      geometry,
      static_cast<mlx_convt::metal::Element>(p.element),
      p.has_bias != 0,
      p.first_misalign == 0,
      p.second_misalign == 0};
}

inline int64_t elements(const mlx_convt::Dims& shape) {
  int64_t count = 1;
  for (auto size : shape) {
    count *= size;
  }
  return count;
}

// Bytes of x, w and y.
struct Sizes {
  explicit Sizes(const Problem& problem) {
    auto& g = problem.geometry;
    auto bytes = [&](Contraction result) {
      return elements(mlx_convt::result_shape(result, 3, g)) *
          mlx_convt::metal::size_of(problem.element);
    };
    int64_t x = bytes(Contraction::InputGrad);
    int64_t w = bytes(Contraction::WeightGrad);
    int64_t y = bytes(Contraction::Output);
    switch (problem.contraction) {
      case Contraction::Output:
        first = x, second = w, result = y;
        break;
      case Contraction::InputGrad:
        first = w, second = y, result = x;
        break;
      default:
        first = x, second = y, result = w;
    }
    bias = g.c_out * mlx_convt::metal::size_of(problem.element);
  }

  int64_t first;
  int64_t second;
  int64_t result;
  int64_t bias;
};

// Of an array of `bytes`, how many are passed; see RunnerOptions.
inline int64_t tail_of(int64_t bytes, int64_t tail_bytes) {
  return tail_bytes > 0 ? std::min(bytes, tail_bytes) : bytes;
}

// The buffers of a plan in the emulator, for as long as it runs.
class Buffers {
 public:
  Buffers(
      const RunnerProblem& p,
      const LaunchPlan& plan,
      int64_t tail_bytes,
      const void* first,
      const void* second,
      const void* bias) {
    Sizes sizes(problem_of(p));
    auto operand = [&](const char* name,
                       int64_t bytes,
                       const void* init,
                       int64_t misalign) {
      auto read = emulator::Access::Read;
      auto tail = tail_of(bytes, tail_bytes);
      if (tail == bytes) {
        return emulator::allocate(name, bytes, read, init, misalign);
      }
      void* made = emulator::allocate(name, bytes, read, nullptr, misalign);
      emulator::write(made, bytes - tail, init, tail);
      emulator::mark_initialised(made);
      return made;
    };
    first_ = operand("first", sizes.first, first, p.first_misalign);
    second_ = operand("second", sizes.second, second, p.second_misalign);
    bias_ = p.has_bias ? operand("bias", sizes.bias, bias, 0) : nullptr;
    result_ = emulator::allocate(
        "result", sizes.result, emulator::Access::Write, nullptr, 0);
    for (auto bytes : plan.temporaries) {
      temporaries_.push_back(
          emulator::allocate(
              "temporary", bytes, emulator::Access::Write, nullptr, 0));
    }
    for (auto& ints : plan.constants) {
      constants_.push_back(
          emulator::allocate(
              "constants",
              ints.size() * sizeof(int),
              emulator::Access::Constant,
              ints.data(),
              0));
    }
  }

  ~Buffers() {
    emulator::release_all();
  }

  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;

  void* at(const Slot& slot) const {
    switch (slot.memory) {
      case Memory::First:
        return first_;
      case Memory::Second:
        return second_;
      case Memory::Bias:
        return bias_;
      case Memory::Result:
        return result_;
      case Memory::Temporary:
        return temporaries_[slot.index];
      default:
        return constants_[slot.index];
    }
  }

  void* result() const {
    return result_;
  }

  // What a launch writes, it may write; other temporaries it only reads.
  void allow(const mlx_convt::metal::Launch& launch) {
    for (auto& slot : launch.slots) {
      if (slot.memory == Memory::Temporary) {
        emulator::change_access(at(slot), emulator::Access::Read);
      }
    }
    for (auto& slot : launch.slots) {
      if (slot.is_written) {
        emulator::change_access(at(slot), emulator::Access::Write);
      }
    }
  }

 private:
  void* first_;
  void* second_;
  void* bias_;
  void* result_;
  std::vector<void*> temporaries_;
  std::vector<void*> constants_;
};

} // namespace runner
