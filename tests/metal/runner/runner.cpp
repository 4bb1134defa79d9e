#include "runner.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "../emulator/runtime.h"
#include "buffers.h"
#include "metal/plan.h"
#include "metal/specialisation.h"
#include "registry.h"

namespace runner {
namespace {

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

LaunchPlan plan_of(const RunnerProblem& p) {
  return mlx_convt::metal::make_plan(
      problem_of(p), {static_cast<int>(p.generation)});
}

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
    runner::Buffers buffers(
        *problem, plan, options->tail_bytes, first, second, bias);
    int64_t errors = 0;
    for (auto& launch : plan.launches) {
      errors = runner::run_launch(launch, *options, buffers, *counts);
    }
    if (result) {
      runner::Sizes sizes(runner::problem_of(*problem));
      auto tail = runner::tail_of(sizes.result, options->tail_bytes);
      emulator::read(buffers.result(), sizes.result - tail, result, tail);
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
