#include "call.h"

#include <cstring>
#include <optional>

#include "execute.h"
#include "json.h"
#include "primitive.h"
#include "record.h"

namespace encoder {
namespace {

using mlx_convt::Dims;

// Those of the last call.
std::vector<mx::array>& operands() {
  static auto& all = *new std::vector<mx::array>;
  return all;
}

std::vector<mx::array>& results() {
  static auto& all = *new std::vector<mx::array>;
  return all;
}

const char* keep(std::string text) {
  static std::string kept;
  kept = std::move(text);
  return kept.c_str();
}

mx::array empty(const mx::Shape& shape, mx::Dtype dtype) {
  return mx::array(shape, dtype, nullptr, {});
}

// A slice of a larger array, such that it has the wanted alignment.
mx::array make_operand(const CallOperand& operand, mx::Dtype dtype) {
  auto made = empty({operand.shape, operand.shape + operand.rank}, dtype);
  constexpr int kAlignment = 16;
  auto whole =
      empty({static_cast<mx::ShapeElem>(made.size()) + kAlignment}, dtype);
  whole.set_data(mx::allocator::malloc(whole.nbytes()));
  auto address = reinterpret_cast<std::uintptr_t>(whole.data<void>());
  auto skipped = (operand.misalign - address) % kAlignment / dtype.size();
  mx::array::Flags flags{true, operand.is_row_contiguous != 0, false};
  made.copy_shared_buffer(whole, made.strides(), flags, made.size(), skipped);
  if (operand.values) {
    std::memcpy(made.data<void>(), operand.values, made.nbytes());
  }
  return made;
}

mlx_convt::ConvTranspose make_primitive(const Call& call) {
  auto dims = [&](const int64_t* values) {
    return Dims(values, values + call.rank);
  };
  auto window = mlx_convt::make_window(
      dims(call.stride),
      dims(call.padding_lo),
      dims(call.padding_hi),
      dims(call.dilation),
      dims(call.output_padding),
      call.groups);
  return {
      mx::Stream(kStream, mx::Device::gpu),
      static_cast<mlx_convt::Contraction>(call.contraction),
      window,
      nullptr};
}

// What it throws, as a member of an object.
template <typename F>
std::string error_of(F&& f) {
  auto member = [](const char* type, const std::exception& error) {
    return std::string("\"error\":{\"type\":\"") + type +
        "\",\"text\":" + quoted(error.what()) + "}";
  };
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return member("ValueError", error);
  } catch (const std::runtime_error& error) {
    return member("RuntimeError", error);
  }
  return "\"error\":null";
}

// With no limit on memory, for that is ours.
void prepare(const Call& call) {
  operands().clear();
  results().clear();
  record() = {};
  behaviour() = {};
  const mx::Dtype dtypes[] = {
      mx::float32, mx::float16, mx::bfloat16, mx::float64};
  auto dtype = dtypes[call.dtype];
  for (int i = 0; i < call.operand_count; ++i) {
    operands().push_back(make_operand(call.operands[i], dtype));
  }
}

void eval(const Call& call) {
  auto primitive = make_primitive(call);
  results().push_back(
      empty(primitive.output_shapes(operands())[0], operands()[0].dtype()));
  behaviour() = {
      static_cast<int>(call.generation),
      static_cast<uint64_t>(call.most_threads),
      static_cast<uint64_t>(call.most_bytes),
      call.refused};
  primitive.eval_gpu(operands(), results());
}

} // namespace
} // namespace encoder

using namespace encoder;

const char* call_eval(const Call* call) {
  prepare(*call);
  auto error = error_of([&] { eval(*call); });
  auto text = "{" + error + "," + json_of(record()) + ",\"operands\":[";
  const char* comma = "";
  for (auto& operand : operands()) {
    text += comma + json_of(operand);
    comma = ",";
  }
  text += "],\"result\":";
  bool has_result = !results().empty() && results()[0].data_shared_ptr();
  return keep(text + (has_result ? json_of(results()[0]) : "null") + "}");
}

const char* call_compile() {
  record() = {};
  behaviour() = {};
  std::vector<std::string> names;
  auto error = error_of([&] { names = mlx_convt::compile_gpu_kernels(); });
  auto text = "{" + error + "," + json_of(record()) + ",\"names\":[";
  const char* comma = "";
  for (auto& name : names) {
    text += comma + quoted(name);
    comma = ",";
  }
  return keep(text + "]}");
}

const char* call_execute(void* result) {
  auto& made = results().at(0);
  auto errors = execute(record(), operands(), made);
  std::memcpy(result, made.data<void>(), made.nbytes());
  return keep(errors);
}

const char* call_text(const char* library) {
  return text_of_library(library);
}

void call_replace_device() {
  replace_device();
}
