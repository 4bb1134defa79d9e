#include "runner.h"

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "../emulator/runtime.h"
#include "metal/plan.h"
#include "metal/specialisation.h"
#include "registry.h"

namespace runner {
namespace {

using mlx_convt::Contraction;
using mlx_convt::Geometry;
using mlx_convt::Triple;
using mlx_convt::metal::LaunchPlan;
using mlx_convt::metal::Memory;
using mlx_convt::metal::Problem;
using mlx_convt::metal::Slot;

std::map<std::string, Kernel>& registry() {
  static std::map<std::string, Kernel> kernels;
  return kernels;
}

std::string& text_buffer() {
  static std::string text;
  return text;
}

const char* keep(std::string text) {
  text_buffer() = std::move(text);
  return text_buffer().c_str();
}

Triple triple(const int64_t* values) {
  return {values[0], values[1], values[2]};
}

Problem problem_of(const RunnerProblem& p) {
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

LaunchPlan plan_of(const RunnerProblem& p) {
  return mlx_convt::metal::make_plan(
      problem_of(p), {static_cast<int>(p.generation)});
}

int64_t elements(const mlx_convt::Dims& shape) {
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

// The buffers of a plan in the emulator, for as long as it runs.
class Buffers {
 public:
  Buffers(
      const RunnerProblem& p,
      const LaunchPlan& plan,
      const void* first,
      const void* second,
      const void* bias) {
    Sizes sizes(problem_of(p));
    auto read = emulator::Access::Read;
    first_ =
        emulator::allocate("first", sizes.first, read, first, p.first_misalign);
    second_ = emulator::allocate(
        "second", sizes.second, read, second, p.second_misalign);
    bias_ = p.has_bias ? emulator::allocate("bias", sizes.bias, read, bias, 0)
                       : nullptr;
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

int run_launch(
    const mlx_convt::metal::Launch& launch,
    const RunnerOptions& options,
    Buffers& buffers,
    RunnerCounts& counts) {
  auto& name = launch.specialisation.name();
  auto found = registry().find(name);
  if (found == registry().end()) {
    throw std::runtime_error("no kernel " + name + " has been loaded");
  }
  auto& kernel = found->second;
  if (kernel.buffer_count != std::ssize(launch.slots)) {
    throw std::runtime_error(name + " takes another number of buffers");
  }
  buffers.allow(launch);
  std::vector<void*> args;
  for (auto& slot : launch.slots) {
    args.push_back(buffers.at(slot));
  }
  emulator::Launch run{};
  run.kernel = kernel.call;
  run.args = args.data();
  run.arg_count = static_cast<int>(args.size());
  uint64_t groups = 1;
  for (int a = 0; a < 3; ++a) {
    run.grid[a] = static_cast<uint32_t>(launch.grid[a]);
    groups *= run.grid[a];
  }
  run.threads[0] = static_cast<uint32_t>(launch.threads);
  run.threads[1] = run.threads[2] = 1;
  run.declared_threads = kernel.declared_threads;
  run.order = static_cast<emulator::Order>(options.order);
  run.seed = static_cast<uint32_t>(options.seed);
  run.permuted_layout = options.permuted_layout != 0;
  uint64_t last = options.last_groups_only;
  run.first_group = last > 0 && last < groups ? groups - last : 0;
  run.last_group = groups;
  emulator::Counts counted{};
  int errors = emulator::run(run, &counted);
  counts.multiply_adds += counted.multiply_adds;
  counts.loads += counted.loads;
  counts.stores += counted.stores;
  counts.barriers += counted.barriers;
  counts.threadgroup_bytes =
      std::max(counts.threadgroup_bytes, counted.threadgroup_bytes);
  return errors;
}

// Launches as JSON; `threads` and `grid` as Metal takes them.
std::string json_of(const LaunchPlan& plan) {
  std::ostringstream text;
  auto list = [&](auto& values, auto&& write) {
    text << "[";
    const char* comma = "";
    for (auto& value : values) {
      text << comma;
      write(value);
      comma = ",";
    }
    text << "]";
  };
  auto number = [&](auto value) { text << value; };
  text << "{\"temporaries\":";
  list(plan.temporaries, number);
  text << ",\"constants\":";
  list(plan.constants, [&](auto& ints) { list(ints, number); });
  text << ",\"launches\":";
  list(plan.launches, [&](auto& launch) {
    text << "{\"name\":\"" << launch.specialisation.name() << "\",\"kernel\":\""
         << launch.specialisation.kernel << "\",\"threads\":" << launch.threads
         << ",\"grid\":";
    list(launch.grid, number);
    text << ",\"slots\":";
    list(launch.slots, [&](auto& slot) {
      text << "{\"memory\":" << static_cast<int>(slot.memory)
           << ",\"index\":" << slot.index
           << ",\"is_written\":" << (slot.is_written ? "true" : "false") << "}";
    });
    text << "}";
  });
  text << "}";
  return text.str();
}

std::vector<mlx_convt::metal::Specialisation>& specialisations() {
  static auto all = mlx_convt::metal::all_specialisations();
  return all;
}

std::string& error_text() {
  static std::string text;
  return text;
}

} // namespace

Registration::Registration(const Kernel& kernel) {
  registry()[kernel.name] = kernel;
}

} // namespace runner

const char* runner_plan(const RunnerProblem* problem) {
  try {
    return runner::keep(runner::json_of(runner::plan_of(*problem)));
  } catch (const std::exception& error) {
    return runner::keep("{\"error\":\"" + std::string(error.what()) + "\"}");
  }
}

int64_t runner_run(
    const RunnerProblem* problem,
    const RunnerOptions* options,
    const void* first,
    const void* second,
    const void* bias,
    void* result,
    RunnerCounts* counts) {
  *counts = {};
  emulator::clear_errors();
  runner::error_text().clear();
  try {
    auto plan = runner::plan_of(*problem);
    runner::Buffers buffers(*problem, plan, first, second, bias);
    int64_t errors = 0;
    for (auto& launch : plan.launches) {
      errors = runner::run_launch(launch, *options, buffers, *counts);
    }
    if (result) {
      runner::Sizes sizes(runner::problem_of(*problem));
      emulator::read(buffers.result(), 0, result, sizes.result);
    }
    runner::error_text() = emulator::errors();
    return errors;
  } catch (const std::exception& error) {
    runner::error_text() = error.what();
    return -1;
  }
}

const char* runner_errors() {
  return runner::error_text().c_str();
}

int64_t runner_specialisations() {
  return std::ssize(runner::specialisations());
}

const char* runner_name(int64_t index) {
  return runner::keep(runner::specialisations()[index].name());
}

const char* runner_kernel(int64_t index) {
  return runner::keep(runner::specialisations()[index].kernel);
}

const char* runner_text(int64_t index) {
  return runner::keep(
      mlx_convt::metal::text_of(runner::specialisations()[index]));
}

const char* runner_metal_text(int64_t index) {
  return runner::keep(
      mlx_convt::metal::metal_text_of(runner::specialisations()[index]));
}
