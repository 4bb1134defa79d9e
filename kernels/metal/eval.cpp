// ConvTranspose on Apple's GPUs: encodes the launches of a plan on the stream.
#include <sstream>

#include "../primitive.h"
#include "mlx/allocator.h"
#include "mlx/backend/metal/device.h"
#include "plan.h"
#include "specialisation.h"

namespace mlx_convt {
namespace {

metal::Element element_of(mx::Dtype dtype, int rank) {
  switch (dtype.val()) {
    case mx::Dtype::Val::float32:
      return metal::Element::Float32;
    case mx::Dtype::Val::float16:
      return metal::Element::Float16;
    case mx::Dtype::Val::bfloat16:
      return metal::Element::BFloat16;
    default: {
      std::ostringstream text;
      text << "[" << function_name(rank) << "] the GPU computes float32, "
           << "float16 and bfloat16. Got " << dtype
           << ". Call it with stream=mx.cpu.";
      throw std::invalid_argument(text.str());
    }
  }
}

bool is_aligned(const mx::array& a) {
  return reinterpret_cast<std::uintptr_t>(a.data<void>()) % 16 == 0;
}

// Encodes one plan; arrays that only it knows live as long as the GPU needs
// them.
class Encoding {
 public:
  Encoding(
      const metal::LaunchPlan& plan,
      mx::Stream stream,
      const std::vector<mx::array>& inputs,
      mx::array& result)
      : plan_(plan),
        device_(mx::metal::device(stream.device)),
        encoder_(mx::metal::get_command_encoder(stream)),
        inputs_(inputs),
        result_(result) {
    for (auto bytes : plan.temporaries) {
      mx::array made({mx::ShapeElem(bytes)}, mx::uint8, nullptr, {});
      made.set_data(mx::allocator::malloc(bytes));
      temporaries_.push_back(made);
      encoder_.add_temporary(made);
    }
  }

  void launch(const metal::Launch& launch) {
    auto& name = launch.specialisation.name();
    auto* library = device_.get_library(
        "mlx_convt_" MLX_CONVT_VERSION "_" + name,
        [&] { return metal::metal_text_of(launch.specialisation); });
    auto* kernel = device_.get_kernel(name, library);
    int64_t most = kernel->maxTotalThreadsPerThreadgroup();
    if (launch.threads > most) {
      throw std::runtime_error(
          "it has " + std::to_string(launch.threads) +
          " threads in a threadgroup, and this GPU takes " +
          std::to_string(most));
    }
    encoder_.set_compute_pipeline_state(kernel);
    for (int i = 0; i < static_cast<int>(launch.slots.size()); ++i) {
      bind_slot(launch.slots[i], i);
    }
    auto& [x, y, z] = launch.grid;
    encoder_.dispatch_threadgroups(
        MTL::Size(x, y, z), MTL::Size(launch.threads, 1, 1));
  }

 private:
  void bind_slot(const metal::Slot& slot, int index) {
    if (slot.memory == metal::Memory::Constants) {
      return bind_constants(plan_.constants[slot.index], index);
    }
    auto& array = array_of(slot);
    if (slot.is_written) {
      encoder_.set_output_array(array, index);
    } else {
      encoder_.set_input_array(array, index);
    }
  }

  void bind_constants(const std::vector<int>& ints, int index) {
    constexpr size_t kMostBytes = 4096; // that Metal copies into its commands
    if (ints.size() * sizeof(int) <= kMostBytes) {
      encoder_.set_bytes(ints.data(), static_cast<int>(ints.size()), index);
      return;
    }
    mx::array table(ints.data(), {mx::ShapeElem(ints.size())}, mx::int32);
    encoder_.set_input_array(table, index);
    encoder_.add_temporary(table);
  }

  mx::array& array_of(const metal::Slot& slot) {
    switch (slot.memory) {
      case metal::Memory::First:
        return inputs_[0];
      case metal::Memory::Second:
        return inputs_[1];
      case metal::Memory::Bias:
        return inputs_[2];
      case metal::Memory::Result:
        return result_;
      default:
        return temporaries_[slot.index];
    }
  }

  const metal::LaunchPlan& plan_;
  mx::metal::Device& device_;
  mx::metal::CommandEncoder& encoder_;
  std::vector<mx::array> inputs_;
  mx::array& result_;
  std::vector<mx::array> temporaries_;
};

} // namespace

const char* gpu_kernels() {
  return "Metal";
}

void ConvTranspose::eval_gpu(
    const std::vector<mx::array>& inputs,
    std::vector<mx::array>& outputs) {
  auto& result = outputs[0];
  auto prefix = "[" + function_name(window_.rank) + "] ";
  for (auto& input : inputs) {
    if (!input.flags().row_contiguous) {
      throw std::runtime_error(
          prefix + "an operand that is not row contiguous reached evaluation.");
    }
  }
  metal::Problem problem{
      contraction_,
      bind(contraction_, window_, inputs[0], inputs[1]),
      element_of(result.dtype(), window_.rank),
      inputs.size() > 2,
      is_aligned(inputs[0]),
      is_aligned(inputs[1])};
  result.set_data(mx::allocator::malloc(result.nbytes()));
  if (result.size() == 0) {
    return;
  }
  auto& device = mx::metal::device(stream().device);
  metal::LaunchPlan plan;
  try {
    plan = metal::make_plan(problem, {device.get_architecture_gen()});
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(
        prefix + error.what() + " Call it with stream=mx.cpu.");
  }
  const char* kernel = "temporary memory";
  try {
    Encoding encoding(plan, stream(), inputs, result);
    for (auto& launch : plan.launches) {
      kernel = launch.specialisation.name().c_str();
      encoding.launch(launch);
    }
  } catch (const std::exception& error) {
    std::ostringstream text;
    text << prefix << name() << " could not be launched on the GPU: " << kernel
         << ", operands " << inputs[0].shape() << " and " << inputs[1].shape()
         << ", result " << result.shape() << ": " << error.what()
         << " Call it with stream=mx.cpu, and please report this with the "
            "output of python -m mlx_convt info.";
    throw std::runtime_error(text.str());
  }
}

} // namespace mlx_convt
