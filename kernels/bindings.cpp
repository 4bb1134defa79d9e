#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "cpu/algorithms.h"
#include "cpu/blas.h"
#include "cpu/eval.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/select.h"
#include "cpu/machine_peak.h"
#include "cpu/thread_pool.h"
#include "mlx/version.h"
#include "plain_call.h"
#include "primitive.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace mlx_convt;

namespace {

constexpr const char* kContractions[] = {"output", "input_grad", "weight_grad"};

Contraction contraction_named(const std::string& name) {
  for (int i = 0; i < 3; ++i) {
    if (name == kContractions[i]) {
      return static_cast<Contraction>(i);
    }
  }
  throw std::invalid_argument(
      "contraction must be output, input_grad or weight_grad. Got " + name +
      ".");
}

} // namespace

NB_MODULE(_ext, m) {
  m.doc() = "Compiled part of mlx_convt; use the functions of mlx_convt.";
  m.attr("__version__") = MLX_CONVT_VERSION;
  m.attr("built_for_mlx") = std::to_string(MLX_VERSION_MAJOR) + "." +
      std::to_string(MLX_VERSION_MINOR) + "." +
      std::to_string(MLX_VERSION_PATCH);
  m.attr("gpu_kernels") = gpu_kernels();
  m.attr("array_registered") = nb::type<mx::array>().is_valid();

  m.def(
      "conv_transpose",
      [](const mx::array& input,
         const mx::array& weight,
         const std::optional<mx::array>& bias,
         const Dims& stride,
         const Dims& padding_lo,
         const Dims& padding_hi,
         const Dims& dilation,
         const Dims& output_padding,
         int64_t groups,
         mx::StreamOrDevice stream) {
        auto window = make_window(
            stride, padding_lo, padding_hi, dilation, output_padding, groups);
        return conv_transpose(
            input, weight, bias, window, cpu::forced_algorithm(), stream);
      },
      "input"_a,
      "weight"_a,
      "bias"_a.none(),
      "stride"_a,
      "padding_lo"_a,
      "padding_hi"_a,
      "dilation"_a,
      "output_padding"_a,
      "groups"_a,
      "stream"_a = nb::none());

  bind_plain_call(m);

  m.def(
      "output_shape",
      [](const mx::array& input,
         const mx::array& weight,
         const std::optional<mx::array>& bias,
         const Dims& stride,
         const Dims& padding_lo,
         const Dims& padding_hi,
         const Dims& dilation,
         const Dims& output_padding,
         int64_t groups) {
        auto window = make_window(
            stride, padding_lo, padding_hi, dilation, output_padding, groups);
        result_dtype(input, weight, bias, window.rank);
        auto geometry = bind(Contraction::Output, window, input, weight);
        if (bias) {
          check_bias(
              window,
              Dims(bias->shape().begin(), bias->shape().end()),
              Dims(weight.shape().begin(), weight.shape().end()));
        }
        return result_shape(Contraction::Output, window.rank, geometry);
      },
      "input"_a,
      "weight"_a,
      "bias"_a.none(),
      "stride"_a,
      "padding_lo"_a,
      "padding_hi"_a,
      "dilation"_a,
      "output_padding"_a,
      "groups"_a,
      "Check a call as conv_transpose does; return the output's shape.");

  m.def(
      "algorithms",
      [] {
        std::vector<std::string> names;
        for (auto& algorithm : cpu::algorithms()) {
          names.push_back(algorithm.name);
        }
        return names;
      },
      "Names of the CPU algorithms, in the order in which they are tried.");
  m.def(
      "eligible",
      [](const std::string& contraction,
         const std::string& algorithm,
         const mx::array& input,
         const mx::array& weight,
         const Dims& stride,
         const Dims& padding_lo,
         const Dims& padding_hi,
         const Dims& dilation,
         const Dims& output_padding,
         int64_t groups) {
        auto window = make_window(
            stride, padding_lo, padding_hi, dilation, output_padding, groups);
        auto geometry = bind(Contraction::Output, window, input, weight);
        auto dtype = result_dtype(input, weight, std::nullopt, window.rank);
        return cpu::find_algorithm(algorithm)
            ->why_not(
                {contraction_named(contraction),
                 geometry,
                 cpu::scalar_of(dtype),
                 false})
            .empty();
      },
      "contraction"_a,
      "algorithm"_a,
      "input"_a,
      "weight"_a,
      "stride"_a,
      "padding_lo"_a,
      "padding_hi"_a,
      "dilation"_a,
      "output_padding"_a,
      "groups"_a,
      "Whether an algorithm can run a contraction of this call.");
  m.def(
      "compile_gpu_kernels",
      &compile_gpu_kernels,
      "Names of the GPU's functions, all compiled; none without kernels.");
  m.def("num_threads", &cpu::num_threads);
  m.def("instruction_set", [] { return std::string(cpu::instruction_set()); });
  m.def(
      "instruction_sets",
      [] {
        std::vector<std::string> names;
        for (auto* set : cpu::supported_sets()) {
          names.push_back(set->name);
        }
        return names;
      },
      "Names of those that this processor can run, best first.");
  m.def(
      "blas_why_not",
      &cpu::blas_why_not,
      "What `blas` is missing; empty where it has a CBLAS.");

  m.def(
      "peak_flops",
      [](bool float64) {
        return float64 ? cpu::peak_flops<double>() : cpu::peak_flops<float>();
      },
      "float64"_a = false,
      nb::call_guard<nb::gil_scoped_release>(),
      "Multiplications and additions per second of fused multiply-adds in\n"
      "registers, on all threads.");
  m.def(
      "stream_seconds",
      &cpu::stream_seconds,
      "read_bytes"_a,
      "write_bytes"_a,
      nb::call_guard<nb::gil_scoped_release>(),
      "Least time to read and write so many bytes once, on all threads.");
}
