// The one primitive of the package: a contraction of the trilinear form
// T(x, w, y) = sum y * convT(x, w), and the lazy arrays made of it.
#pragma once

#include <optional>

#include "cpu/algorithms.h"
#include "geometry.h"
#include "mlx/ops.h"
#include "mlx/primitives.h"

namespace mx = mlx::core;

namespace mlx_convt {

// The dtype a call computes and returns, by MLX's promotion; throws
// std::invalid_argument unless every operand is a real floating array.
mx::Dtype result_dtype(
    const mx::array& input,
    const mx::array& weight,
    const std::optional<mx::array>& bias,
    int rank);

// y = convT(input, weight) + bias, checked, lazy.
mx::array conv_transpose(
    const mx::array& input,
    const mx::array& weight,
    const std::optional<mx::array>& bias,
    const Window& window,
    const cpu::Algorithm* forced,
    mx::StreamOrDevice stream);

class ConvTranspose : public mx::Primitive {
 public:
  // `forced` is null for the first algorithm that suits the problem.
  ConvTranspose(
      mx::Stream stream,
      Contraction contraction,
      const Window& window,
      const cpu::Algorithm* forced)
      : mx::Primitive(stream),
        contraction_(contraction),
        window_(window),
        forced_(forced) {}

  // Inputs: (x, w[, bias]) for Output, (w, y) for InputGrad, (x, y) for
  // WeightGrad, all row contiguous and of one dtype.
  void eval_cpu(
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs) override;
  void eval_gpu(
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs) override;

  std::vector<mx::array> jvp(
      const std::vector<mx::array>& primals,
      const std::vector<mx::array>& tangents,
      const std::vector<int>& argnums) override;
  std::vector<mx::array> vjp(
      const std::vector<mx::array>& primals,
      const std::vector<mx::array>& cotangents,
      const std::vector<int>& argnums,
      const std::vector<mx::array>& outputs) override;
  std::pair<std::vector<mx::array>, std::vector<int>> vmap(
      const std::vector<mx::array>& inputs,
      const std::vector<int>& axes) override;

  const char* name() const override;
  bool is_equivalent(const mx::Primitive& other) const override;
  std::vector<mx::Shape> output_shapes(
      const std::vector<mx::array>& inputs) override;

 private:
  // The lazy result of another contraction with this one's attributes.
  mx::array contract(
      Contraction contraction,
      const mx::array& first,
      const mx::array& second,
      const std::optional<mx::array>& bias = std::nullopt);

  // The operands, each with its mapped axis (negative: none), as one larger
  // problem; the result's mapped axis is 0.
  mx::array map_operands(
      const mx::array& first,
      int first_axis,
      const mx::array& second,
      int second_axis,
      const std::optional<mx::array>& bias);

  Contraction contraction_;
  Window window_;
  const cpu::Algorithm* forced_;
};

// What eval_gpu runs on: "Metal", or "none" where it only throws.
const char* gpu_kernels();

// Compiles every function that eval_gpu can launch; their names.
std::vector<std::string> compile_gpu_kernels();

// Sizes of the problem that the given operands pose.
Geometry bind(
    Contraction contraction,
    const Window& window,
    const mx::array& first,
    const mx::array& second);

// Throws std::invalid_argument where the forced algorithm, if any, cannot run
// the problem. Asked when an operation is built and again when it is evaluated:
// a graph traced without shapes may meet others.
void check_forced(
    const cpu::Algorithm* forced,
    const cpu::Problem& problem,
    int rank);

} // namespace mlx_convt
