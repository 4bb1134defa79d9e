#include "primitive.h"

#include "cpu/eval.h"

namespace mlx_convt {
namespace {

Dims dims(const mx::array& a) {
  return Dims(a.shape().begin(), a.shape().end());
}

mx::Shape shape(const Dims& sizes) {
  return mx::Shape(sizes.begin(), sizes.end());
}

// The lazy array of a contraction whose operands are already of one dtype.
mx::array build(
    Contraction contraction,
    const Window& window,
    const Geometry& geometry,
    const cpu::Algorithm* forced,
    mx::Stream stream,
    std::vector<mx::array> operands) {
  auto dtype = operands[0].dtype();
  for (auto& operand : operands) {
    if (operand.dtype() != dtype) {
      throw std::logic_error(
          "[" + function_name(window.rank) +
          "] operands of different dtypes reached the primitive.");
    }
  }
  if (stream.device == mx::Device::cpu) {
    check_forced(
        forced,
        {contraction, geometry, cpu::scalar_of(dtype), operands.size() > 2},
        window.rank);
  }
  // The backends read plain row-major arrays. A copy, where one is needed, is
  // an operation of the graph like any other; what is known to be plain is
  // spared it. Strides of tracers are not yet theirs.
  for (auto& operand : operands) {
    if (operand.status() == mx::array::unscheduled || operand.is_tracer() ||
        !operand.flags().row_contiguous) {
      operand = mx::contiguous(operand, false, stream);
    }
  }
  return mx::array(
      shape(result_shape(contraction, window.rank, geometry)),
      dtype,
      std::make_shared<ConvTranspose>(stream, contraction, window, forced),
      std::move(operands));
}

} // namespace

Geometry bind(
    Contraction contraction,
    const Window& window,
    const mx::array& first,
    const mx::array& second) {
  switch (contraction) {
    case Contraction::Output:
      return bind_output(window, dims(first), dims(second));
    case Contraction::InputGrad:
      return bind_input_grad(window, dims(first), dims(second));
    default:
      return bind_weight_grad(window, dims(first), dims(second));
  }
}

void check_forced(
    const cpu::Algorithm* forced,
    const cpu::Problem& problem,
    int rank) {
  auto why = forced ? forced->why_not(problem) : "";
  if (!why.empty()) {
    throw std::invalid_argument(
        "[" + function_name(rank) + "] MLX_CONVT_ALGORITHM=" + forced->name +
        " cannot run this operation: " + why + ".");
  }
}

mx::Dtype result_dtype(
    const mx::array& input,
    const mx::array& weight,
    const std::optional<mx::array>& bias,
    int rank) {
  auto check = [&](const char* what, const mx::array& a) {
    if (!mx::issubdtype(a.dtype(), mx::floating)) {
      std::ostringstream text;
      text << "[" << function_name(rank) << "] " << what
           << " must be float32, float16, bfloat16 or float64. Got "
           << a.dtype() << ".";
      throw std::invalid_argument(text.str());
    }
  };
  check("input", input);
  check("weight", weight);
  auto dtype = mx::promote_types(input.dtype(), weight.dtype());
  if (bias) {
    check("bias", *bias);
    dtype = mx::promote_types(dtype, bias->dtype());
  }
  return dtype;
}

mx::array conv_transpose(
    const mx::array& input,
    const mx::array& weight,
    const std::optional<mx::array>& bias,
    const Window& window,
    const cpu::Algorithm* forced,
    mx::StreamOrDevice stream_or_device) {
  auto dtype = result_dtype(input, weight, bias, window.rank);
  // Checked before the casts below become part of the graph.
  auto geometry = bind_output(window, dims(input), dims(weight));
  if (bias) {
    check_bias(window, dims(*bias), dims(weight));
  }
  auto stream = mx::to_stream(stream_or_device);
  std::vector<mx::array> operands = {
      mx::astype(input, dtype, stream), mx::astype(weight, dtype, stream)};
  if (bias) {
    operands.push_back(mx::astype(*bias, dtype, stream));
  }
  return build(
      Contraction::Output,
      window,
      geometry,
      forced,
      stream,
      std::move(operands));
}

mx::array ConvTranspose::contract(
    Contraction contraction,
    const mx::array& first,
    const mx::array& second,
    const std::optional<mx::array>& bias) {
  std::vector<mx::array> operands = {first, second};
  if (bias) {
    operands.push_back(*bias);
  }
  return build(
      contraction,
      window_,
      bind(contraction, window_, first, second),
      forced_,
      stream(),
      std::move(operands));
}

const char* ConvTranspose::name() const {
  switch (contraction_) {
    case Contraction::Output:
      return "ConvTranspose";
    case Contraction::InputGrad:
      return "ConvTransposeInputGrad";
    default:
      return "ConvTransposeWeightGrad";
  }
}

bool ConvTranspose::is_equivalent(const mx::Primitive& other) const {
  // MLX compares the types before it asks.
  auto& that = static_cast<const ConvTranspose&>(other);
  return contraction_ == that.contraction_ && window_ == that.window_ &&
      forced_ == that.forced_;
}

std::vector<mx::Shape> ConvTranspose::output_shapes(
    const std::vector<mx::array>& inputs) {
  auto geometry = bind(contraction_, window_, inputs[0], inputs[1]);
  return {shape(result_shape(contraction_, window_.rank, geometry))};
}

} // namespace mlx_convt
