// The device that stands in for Metal: it compiles nothing and runs nothing.
#include "mlx/backend/metal/device.h"

#include <dlfcn.h>

#include <memory>
#include <sstream>

#include "record.h"

namespace {

struct Pipeline : MTL::ComputePipelineState {
  std::string name;
};

} // namespace

class MTL::Library {
 public:
  std::string text;
  std::map<std::string, Pipeline> pipelines;
};

namespace encoder {
namespace {

using Libraries = std::map<std::string, MTL::Library>;

Libraries& libraries() {
  static auto& all = *new Libraries;
  return all;
}

// Bound since the last dispatch; in Metal bindings stay, but what another
// kernel left behind is not meant for the next.
struct Pending {
  const Pipeline* pipeline = nullptr;
  std::map<int, Binding> bindings;
};

Pending& pending() {
  static auto& now = *new Pending;
  return now;
}

void note(std::string event) {
  record().events.push_back(std::move(event));
}

void expect(bool is_allowed, const std::string& misuse) {
  if (!is_allowed) {
    record().misuses.push_back(misuse);
  }
}

void bind(int index, Binding binding) {
  constexpr int kIndices = 31;
  expect(index >= 0 && index < kIndices, "no buffer index");
  bool is_new = pending().bindings.emplace(index, std::move(binding)).second;
  expect(is_new, "an index is bound twice");
}

void bind(const mx::array& array, int index, int64_t offset, bool is_written) {
  bool has_memory = array.data_shared_ptr() && array.buffer().ptr();
  expect(has_memory, "an array without memory");
  if (has_memory) {
    size_t size = array.nbytes() - static_cast<size_t>(offset);
    bind(index, {array.data<char>() + offset, size, is_written, {}});
  }
}

// Metal's allocator in what differs: its limit, and nothing for no bytes.
class Allocator : public mx::allocator::Allocator {
 public:
  mx::allocator::Buffer malloc(size_t size) override {
    if (size == 0) {
      return mx::allocator::Buffer(nullptr);
    }
    auto most = behaviour().most_bytes;
    if (size > most) {
      std::ostringstream text;
      text << "[metal::malloc] Attempting to allocate " << size
           << " bytes which is greater than the maximum allowed buffer size of "
           << most << " bytes.";
      throw std::runtime_error(text.str());
    }
    return real().malloc(size);
  }
  void free(mx::allocator::Buffer buffer) override {
    real().free(buffer);
  }
  size_t size(mx::allocator::Buffer buffer) const override {
    return real().size(buffer);
  }

 private:
  static mx::allocator::Allocator& real() {
    using Get = mx::allocator::Allocator& (*)();
    static auto get = reinterpret_cast<Get>(
        dlsym(RTLD_NEXT, "_ZN3mlx4core9allocator9allocatorEv"));
    return get();
  }
};

} // namespace

Record& record() {
  static auto& one = *new Record;
  return one;
}

Behaviour& behaviour() {
  static auto& one = *new Behaviour;
  return one;
}

void replace_device() {
  libraries().clear();
  pending() = {};
}

const char* text_of_library(const std::string& name) {
  auto found = libraries().find(name);
  return found == libraries().end() ? nullptr : found->second.text.c_str();
}

} // namespace encoder

NS::UInteger MTL::ComputePipelineState::maxTotalThreadsPerThreadgroup() const {
  return encoder::behaviour().most_threads;
}

// Found before that of libmlx by all that is linked with this file.
mlx::core::allocator::Allocator& mlx::core::allocator::allocator() {
  static auto& one = *new encoder::Allocator;
  return one;
}

namespace mlx::core::metal {

void CommandEncoder::set_input_array(const array& a, int idx, int64_t offset) {
  encoder::bind(a, idx, offset, false);
}

void CommandEncoder::set_output_array(array& a, int idx, int64_t offset) {
  encoder::bind(a, idx, offset, true);
}

void CommandEncoder::record_bytes(const void* bytes, size_t size, int idx) {
  encoder::expect(size > 0 && size <= 4096, "setBytes takes 1 to 4096 bytes");
  auto begin = static_cast<const char*>(bytes);
  encoder::bind(idx, {nullptr, size, false, {begin, begin + size}});
}

void CommandEncoder::add_temporary(array arr) {
  add_temporaries({std::move(arr)});
}

void CommandEncoder::add_temporaries(std::vector<array> arrays) {
  encoder::note("temporaries " + std::to_string(arrays.size()));
  auto& kept = encoder::record().temporaries;
  kept.insert(kept.end(), arrays.begin(), arrays.end());
}

void CommandEncoder::set_compute_pipeline_state(
    MTL::ComputePipelineState* kernel) {
  encoder::pending().pipeline = static_cast<Pipeline*>(kernel);
}

void CommandEncoder::dispatch_threadgroups(
    MTL::Size grid_dims,
    MTL::Size group_dims) {
  auto& [pipeline, bindings] = encoder::pending();
  auto name = pipeline ? pipeline->name : "";
  encoder::note("dispatch " + name);
  auto& [x, y, z] = grid_dims;
  encoder::expect(x > 0 && y > 0 && z > 0, "an empty grid");
  auto threads = group_dims.width * group_dims.height * group_dims.depth;
  encoder::expect(
      threads > 0 && threads <= encoder::behaviour().most_threads,
      "a threadgroup that the pipeline does not take");
  encoder::record().dispatches.push_back(
      {name,
       {x, y, z},
       {group_dims.width, group_dims.height, group_dims.depth},
       std::move(bindings)});
  encoder::pending() = {};
}

int Device::get_architecture_gen() const {
  return encoder::behaviour().generation;
}

MTL::Library* Device::get_library(
    const std::string& name,
    const CompileOptions& compile_options,
    const std::function<std::string(void)>& builder) {
  encoder::note("library " + name);
  encoder::expect(
      compile_options == CompileOptions(), "options of MLX's compiler");
  auto found = encoder::libraries().find(name);
  if (found != encoder::libraries().end()) {
    return &found->second;
  }
  encoder::note("build " + name);
  auto text = builder();
  auto& refused = encoder::behaviour().refused;
  if (!refused.empty() && name.ends_with("_" + refused)) {
    throw std::runtime_error(
        "[metal::Device] Unable to build metal library from source\n"
        "program_source:1:1: error: refused\n");
  }
  auto& made = encoder::libraries()[name];
  made.text = std::move(text);
  return &made;
}

MTL::ComputePipelineState* Device::get_kernel(
    const std::string& base_name,
    MTL::Library* mtl_lib,
    const std::string& hash_name,
    const MTLFCList& func_consts,
    const std::vector<MTL::Function*>& linked_functions) {
  encoder::note("kernel " + base_name);
  encoder::expect(
      hash_name.empty() && func_consts.empty() && linked_functions.empty(),
      "a function that is specialised by Metal");
  auto define = "#define CT_NAME " + base_name + "\n";
  if (mtl_lib->text.find(define) == std::string::npos) {
    throw std::runtime_error(
        "[metal::Device] Unable to load kernel " + base_name + "\n");
  }
  auto& made = mtl_lib->pipelines[base_name];
  made.name = base_name;
  return &made;
}

Device& device(mlx::core::Device) {
  static Device one;
  return one;
}

CommandEncoder& get_command_encoder(Stream s) {
  if (s.index != encoder::kStream) {
    throw std::runtime_error(
        "There is no Stream(gpu, " + std::to_string(s.index) +
        ") in current thread.");
  }
  static CommandEncoder one;
  return one;
}

} // namespace mlx::core::metal
