#include "execute.h"

#include <set>
#include <stdexcept>

#include "../emulator/runtime.h"
#include "../runner/registry.h"

namespace runner {
namespace {

std::map<std::string, Kernel>& registry() {
  static std::map<std::string, Kernel> kernels;
  return kernels;
}

} // namespace

Registration::Registration(const Kernel& kernel) {
  registry()[kernel.name] = kernel;
}

} // namespace runner

namespace encoder {
namespace {

// The emulator's buffers for all memory that has been bound.
class Buffers {
 public:
  Buffers(
      const Record& record,
      const std::vector<mx::array>& operands,
      const mx::array& result)
      : result_(result.data<char>()) {
    for (auto& operand : operands) {
      operands_.insert(operand.data<char>());
    }
    for (auto& dispatch : record.dispatches) {
      for (auto& [index, binding] : dispatch.bindings) {
        if (binding.is_written) {
          written_.insert(binding.memory);
        }
      }
    }
  }

  ~Buffers() {
    emulator::release_all();
  }

  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;

  // What a dispatch does not write, it may only read.
  std::vector<void*> of(const Dispatch& dispatch) {
    std::vector<void*> all;
    for (auto& [index, binding] : dispatch.bindings) {
      all.push_back(binding.memory ? at(binding) : constants(binding));
      if (written_.contains(binding.memory)) {
        emulator::change_access(all.back(), emulator::Access::Read);
      }
    }
    size_t n = 0;
    for (auto& [index, binding] : dispatch.bindings) {
      if (binding.is_written) {
        emulator::change_access(all[n], access(binding));
      }
      ++n;
    }
    return all;
  }

  const void* result() const {
    return made_.at(result_);
  }

 private:
  // Temporaries may have a rest that nobody writes; the result has none.
  emulator::Access access(const Binding& binding) const {
    return binding.memory == result_ ? emulator::Access::Write
                                     : emulator::Access::ReadWrite;
  }

  void* at(const Binding& binding) {
    auto& made = made_[binding.memory];
    if (!made) {
      bool is_written = written_.contains(binding.memory);
      // Memory that Metal allocates is aligned; an operand may be a slice.
      auto address = reinterpret_cast<std::uintptr_t>(binding.memory);
      bool is_operand = operands_.contains(binding.memory);
      made = emulator::allocate(
          is_operand ? "operand" : "array",
          binding.size,
          is_written ? access(binding) : emulator::Access::Read,
          is_written ? nullptr : binding.memory,
          is_operand ? address % 16 : 0);
    }
    return made;
  }

  static void* constants(const Binding& binding) {
    return emulator::allocate(
        "constants",
        binding.size,
        emulator::Access::Constant,
        binding.bytes.data(),
        0);
  }

  const char* result_;
  std::set<const char*> operands_;
  std::set<const char*> written_;
  std::map<const char*, void*> made_;
};

void run(const Dispatch& dispatch, Buffers& buffers) {
  auto& kernel = runner::registry().at(dispatch.kernel);
  auto args = buffers.of(dispatch);
  if (kernel.buffer_count != std::ssize(args)) {
    throw std::runtime_error(
        dispatch.kernel + " takes another number of buffers");
  }
  emulator::Launch launch{};
  launch.kernel = kernel.call;
  launch.args = args.data();
  launch.arg_count = static_cast<int>(args.size());
  for (int a = 0; a < 3; ++a) {
    launch.grid[a] = static_cast<uint32_t>(dispatch.grid[a]);
    launch.threads[a] = static_cast<uint32_t>(dispatch.threads[a]);
  }
  launch.declared_threads = kernel.declared_threads;
  emulator::run(launch, nullptr);
}

} // namespace

std::string execute(
    const Record& record,
    const std::vector<mx::array>& operands,
    mx::array& result) {
  emulator::clear_errors();
  Buffers buffers(record, operands, result);
  for (auto& dispatch : record.dispatches) {
    run(dispatch, buffers);
  }
  emulator::read(buffers.result(), 0, result.data<char>(), result.nbytes());
  return emulator::errors();
}

} // namespace encoder
