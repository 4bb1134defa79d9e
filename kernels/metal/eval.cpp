// ConvTranspose on Apple's GPUs: encodes the launches of a plan on the stream.
#include <map>
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

// Compiled once a process: MLX keeps libraries and pipelines by name.
MTL::ComputePipelineState* compile(
    mx::metal::Device& device,
    const metal::Specialisation& specialisation) {
  auto* library = device.get_library(
      "mlx_convt_" MLX_CONVT_VERSION "_" + specialisation.name(),
      [&] { return metal::metal_text_of(specialisation); });
  return device.get_kernel(specialisation.name(), library);
}

// The functions of a plan, before anything is encoded: a text that Metal
// refuses then leaves the stream as it was. `at` names the one at hand.
std::vector<MTL::ComputePipelineState*> compile(
    const metal::LaunchPlan& plan,
    mx::metal::Device& device,
    std::string& at) {
  std::vector<MTL::ComputePipelineState*> compiled;
  for (auto& launch : plan.launches) {
    at = launch.specialisation.name();
    compiled.push_back(compile(device, launch.specialisation));
    int64_t most = compiled.back()->maxTotalThreadsPerThreadgroup();
    if (launch.threads > most) {
      throw std::runtime_error(
          "it has " + std::to_string(launch.threads) +
          " threads in a threadgroup, and this GPU takes " +
          std::to_string(most) + ".");
    }
  }
  return compiled;
}

// Encodes one plan; arrays that only it knows live as long as the GPU needs
// them.
class Encoding {
 public:
  Encoding(
      const metal::LaunchPlan& plan,
      mx::metal::CommandEncoder& encoder,
      const std::vector<mx::array>& inputs,
      mx::array& result)
      : plan_(plan), encoder_(encoder), inputs_(inputs), result_(result) {
    for (auto bytes : plan.temporaries) {
      // Two axes, for one has 31 bits.
      constexpr int64_t kPage = 4096;
      auto pages = static_cast<mx::ShapeElem>((bytes + kPage - 1) / kPage);
      mx::array made({pages, kPage}, mx::uint8, nullptr, {});
      made.set_data(mx::allocator::malloc(made.nbytes()));
      temporaries_.push_back(made);
    }
    for (size_t i = 0; i < plan.constants.size(); ++i) {
      auto& ints = plan.constants[i];
      if (ints.size() > kMostInts) {
        auto size = static_cast<mx::ShapeElem>(ints.size());
        tables_.emplace(i, mx::array(ints.data(), {size}, mx::int32));
      }
    }
  }

  // Throws nothing of its own: what can fail has been done.
  void encode(const std::vector<MTL::ComputePipelineState*>& kernels) {
    for (size_t i = 0; i < kernels.size(); ++i) {
      auto& launch = plan_.launches[i];
      encoder_.set_compute_pipeline_state(kernels[i]);
      for (int n = 0; n < static_cast<int>(launch.slots.size()); ++n) {
        bind_slot(launch.slots[n], n);
      }
      auto& [x, y, z] = launch.grid;
      encoder_.dispatch_threadgroups(
          MTL::Size(x, y, z), MTL::Size(launch.threads, 1, 1));
    }
    for (auto& [which, table] : tables_) {
      temporaries_.push_back(table);
    }
    encoder_.add_temporaries(std::move(temporaries_));
  }

 private:
  // That Metal copies into its commands: 4096 bytes.
  static constexpr size_t kMostInts = 4096 / sizeof(int);

  void bind_slot(const metal::Slot& slot, int index) {
    if (slot.memory == metal::Memory::Constants) {
      return bind_constants(slot.index, index);
    }
    auto& array = array_of(slot);
    if (slot.is_written) {
      encoder_.set_output_array(array, index);
    } else {
      encoder_.set_input_array(array, index);
    }
  }

  void bind_constants(int which, int index) {
    auto table = tables_.find(which);
    if (table != tables_.end()) {
      encoder_.set_input_array(table->second, index);
      return;
    }
    auto& ints = plan_.constants[which];
    encoder_.set_bytes(ints.data(), static_cast<int>(ints.size()), index);
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
  mx::metal::CommandEncoder& encoder_;
  std::vector<mx::array> inputs_;
  mx::array& result_;
  std::vector<mx::array> temporaries_;
  std::map<int, mx::array> tables_; // constants that are too long for it
};

} // namespace

const char* gpu_kernels() {
  return "Metal";
}

std::vector<std::string> compile_gpu_kernels() {
  auto& device = mx::metal::device(mx::Device::gpu);
  std::vector<std::string> names;
  for (auto& specialisation : metal::all_specialisations()) {
    compile(device, specialisation);
    names.push_back(specialisation.name());
  }
  return names;
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
  auto& device = mx::metal::device(stream().device);
  std::string at = "the result's memory";
  try {
    result.set_data(mx::allocator::malloc(result.nbytes()));
    if (result.size() == 0) {
      return;
    }
    at = "its plan";
    auto plan = metal::make_plan(problem, {device.get_architecture_gen()});
    auto kernels = compile(plan, device, at);
    at = "temporary memory";
    Encoding encoding(
        plan, mx::metal::get_command_encoder(stream()), inputs, result);
    encoding.encode(kernels);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(
        prefix + error.what() + " Call it with stream=mx.cpu.");
  } catch (const std::exception& error) {
    std::ostringstream text;
    text << prefix << name() << " failed on the GPU at " << at
         << ", for operands " << inputs[0].shape() << " and "
         << inputs[1].shape() << ", result " << result.shape()
         << ". Call it with stream=mx.cpu, and please report this with the "
            "output of python -m mlx_convt info: "
         << error.what();
    throw std::runtime_error(text.str());
  }
}

} // namespace mlx_convt
