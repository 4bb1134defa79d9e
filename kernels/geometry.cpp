#include "geometry.h"

#include <algorithm>
#include <limits>
#include <span>
#include <sstream>
#include <stdexcept>

namespace mlx_convt {
namespace {

constexpr int64_t kMaxDim = std::numeric_limits<int32_t>::max();
// Byte counts must fit 64 bits with a sign.
constexpr double kMaxElements = 0x1p59;

template <typename... Parts>
[[noreturn]] void fail(int rank, const Parts&... parts) {
  std::ostringstream text;
  text << "[" << function_name(rank) << "] ";
  (text << ... << parts);
  throw std::invalid_argument(text.str());
}

Dims unpad(int rank, const Triple& values) {
  return Dims(values.end() - rank, values.end());
}

void check_range(
    int rank,
    const char* what,
    const Triple& values,
    int64_t least) {
  for (auto value : values) {
    if (value < least) {
      fail(
          rank,
          what,
          " must be at least ",
          least,
          ". Got ",
          what,
          " ",
          to_string(unpad(rank, values)),
          ".");
    }
    if (value > kMaxDim) {
      fail(
          rank,
          what,
          " must be less than 2^31. Got ",
          what,
          " ",
          to_string(unpad(rank, values)),
          ".");
    }
  }
}

Triple pad(std::span<const int64_t> values, int64_t fill) {
  Triple padded{fill, fill, fill};
  std::copy(
      values.begin(), values.end(), padded.begin() + (kAxes - values.size()));
  return padded;
}

// The spatial part of an array shape (first and last entries are channels,
// batch or features).
Triple spatial(const Dims& shape) {
  return pad(std::span(shape).subspan(1, shape.size() - 2), 1);
}

Geometry unbound(const Window& window) {
  Geometry g{};
  g.stride = window.stride;
  g.padding = window.padding_lo;
  g.dilation = window.dilation;
  g.groups = window.groups;
  return g;
}

// out - (in - 1) * stride - dilation * (kernel - 1) on one axis.
int64_t margin(const Window& window, int axis) {
  return window.output_padding[axis] + 1 - window.padding_lo[axis] -
      window.padding_hi[axis];
}

// With all three shapes: a graph traced without shapes may bring together
// arrays that belong to different calls.
Geometry bind_all(
    const Window& window,
    const Dims& input,
    const Dims& weight,
    const Dims& output) {
  auto g = bind_output(window, input, weight);
  if (result_shape(Contraction::Output, window.rank, g) != output) {
    fail(
        window.rank,
        "the gradient needs the output shape of its call. Got ",
        to_string(output),
        " instead of ",
        to_string(result_shape(Contraction::Output, window.rank, g)),
        ".");
  }
  return g;
}

void check_ndim(
    int rank,
    const char* what,
    const char* layout,
    const Dims& shape) {
  if (static_cast<int>(shape.size()) != rank + 2) {
    fail(
        rank,
        what,
        " must have ",
        rank + 2,
        " dimensions, ",
        layout,
        ". Got shape ",
        to_string(shape),
        ".");
  }
}

} // namespace

std::string function_name(int rank) {
  return "conv_transpose" + std::to_string(rank) + "d";
}

std::string to_string(const Dims& values) {
  std::ostringstream text;
  text << "(";
  for (size_t i = 0; i < values.size(); ++i) {
    text << (i ? ", " : "") << values[i];
  }
  text << (values.size() == 1 ? ",)" : ")");
  return text.str();
}

Window make_window(
    const Dims& stride,
    const Dims& padding_lo,
    const Dims& padding_hi,
    const Dims& dilation,
    const Dims& output_padding,
    int64_t groups) {
  int rank = static_cast<int>(stride.size());
  if (rank < 1 || rank > kAxes) {
    throw std::invalid_argument(
        "[conv_transpose] there must be 1 to 3 spatial axes. Got " +
        std::to_string(rank) + ".");
  }
  for (auto* values : {&padding_lo, &padding_hi, &dilation, &output_padding}) {
    if (values->size() != stride.size()) {
      fail(
          rank,
          "every attribute must have one value per spatial axis. Got ",
          to_string(*values),
          " for rank ",
          rank,
          ".");
    }
  }
  Window window{
      rank,
      pad(stride, 1),
      pad(padding_lo, 0),
      pad(padding_hi, 0),
      pad(dilation, 1),
      pad(output_padding, 0),
      groups};
  check_window(window);
  return window;
}

void check_window(const Window& window) {
  int rank = window.rank;
  check_range(rank, "stride", window.stride, 1);
  check_range(rank, "padding", window.padding_lo, 0);
  check_range(rank, "padding", window.padding_hi, 0);
  check_range(rank, "dilation", window.dilation, 1);
  check_range(rank, "output_padding", window.output_padding, 0);
  for (int axis = 0; axis < kAxes; ++axis) {
    if (window.output_padding[axis] >=
        std::max(window.stride[axis], window.dilation[axis])) {
      fail(
          rank,
          "output_padding must be smaller than stride or dilation. Got "
          "output_padding ",
          to_string(unpad(rank, window.output_padding)),
          ", stride ",
          to_string(unpad(rank, window.stride)),
          ", dilation ",
          to_string(unpad(rank, window.dilation)),
          ".");
    }
  }
  if (window.groups < 1 || window.groups > kMaxDim) {
    fail(
        rank,
        "groups must be at least 1 and less than 2^31. Got groups ",
        window.groups,
        ".");
  }
}

Geometry
bind_output(const Window& window, const Dims& input, const Dims& weight) {
  int rank = window.rank;
  check_ndim(rank, "input", "(N, *spatial, C_in)", input);
  check_ndim(rank, "weight", "(C_out, *kernel, C_in / groups)", weight);
  if (input.back() % window.groups != 0) {
    fail(
        rank,
        "the input channels must be divisible by groups. Got input shape ",
        to_string(input),
        ", groups ",
        window.groups,
        ".");
  }
  if (weight.front() % window.groups != 0) {
    fail(
        rank,
        "the output channels must be divisible by groups. Got weight shape ",
        to_string(weight),
        ", groups ",
        window.groups,
        ".");
  }
  if (input.back() != weight.back() * window.groups) {
    fail(
        rank,
        "the input channels must equal the weight's last dimension times "
        "groups. Got input shape ",
        to_string(input),
        ", weight shape ",
        to_string(weight),
        ", groups ",
        window.groups,
        ".");
  }
  Geometry g = unbound(window);
  g.batch = input.front();
  g.c_in = input.back();
  g.c_out = weight.front();
  g.in = spatial(input);
  g.kernel = spatial(weight);
  for (int axis = 0; axis < kAxes; ++axis) {
    if (g.kernel[axis] < 1) {
      fail(
          rank,
          "kernel sizes must be at least 1. Got weight shape ",
          to_string(weight),
          ".");
    }
    // Each product is below 2^62, so that the sum cannot overflow.
    g.out[axis] = (g.in[axis] - 1) * g.stride[axis] +
        g.dilation[axis] * (g.kernel[axis] - 1) + margin(window, axis);
  }
  auto [least, most] = std::minmax_element(g.out.begin(), g.out.end());
  if (*least < 1 || *most > kMaxDim) {
    fail(
        rank,
        "every output size must be at least 1 and less than 2^31. Got output "
        "size ",
        to_string(unpad(rank, g.out)),
        " from input shape ",
        to_string(input),
        ", weight shape ",
        to_string(weight),
        ".");
  }
  // In double: the product may be beyond every integer.
  double elements = static_cast<double>(g.batch) * static_cast<double>(g.c_out);
  for (auto size : g.out) {
    elements *= static_cast<double>(size);
  }
  if (elements > kMaxElements) {
    fail(
        rank,
        "the output must have at most 2^59 elements. Got output shape ",
        to_string(result_shape(Contraction::Output, rank, g)),
        ".");
  }
  return g;
}

Geometry
bind_input_grad(const Window& window, const Dims& weight, const Dims& output) {
  Dims input = output;
  input.back() = weight.back() * window.groups;
  for (int i = 0; i < window.rank; ++i) {
    int axis = kAxes - window.rank + i;
    input[i + 1] = (output[i + 1] - margin(window, axis) -
                    window.dilation[axis] * (weight[i + 1] - 1)) /
            window.stride[axis] +
        1;
  }
  return bind_all(window, input, weight, output);
}

Geometry
bind_weight_grad(const Window& window, const Dims& input, const Dims& output) {
  Dims weight = input;
  weight.front() = output.back();
  weight.back() = input.back() / window.groups;
  for (int i = 0; i < window.rank; ++i) {
    int axis = kAxes - window.rank + i;
    weight[i + 1] = (output[i + 1] - margin(window, axis) -
                     (input[i + 1] - 1) * window.stride[axis]) /
            window.dilation[axis] +
        1;
  }
  return bind_all(window, input, weight, output);
}

void check_bias(const Window& window, const Dims& bias, const Dims& weight) {
  if (bias.size() != 1 || bias[0] != weight.front()) {
    fail(
        window.rank,
        "bias must have one value per output channel. Got bias shape ",
        to_string(bias),
        ", weight shape ",
        to_string(weight),
        ".");
  }
}

Dims result_shape(Contraction contraction, int rank, const Geometry& g) {
  auto join = [&](int64_t first, const Triple& middle, int64_t last) {
    Dims shape(rank + 2, first);
    std::copy(middle.end() - rank, middle.end(), shape.begin() + 1);
    shape.back() = last;
    return shape;
  };
  switch (contraction) {
    case Contraction::Output:
      return join(g.batch, g.out, g.c_out);
    case Contraction::InputGrad:
      return join(g.batch, g.in, g.c_in);
    default:
      return join(g.c_out, g.kernel, g.c_in / g.groups);
  }
}

} // namespace mlx_convt
