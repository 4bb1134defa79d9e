// Integer mathematics of transposed convolution: shapes, rules, output sizes.
// Knows nothing of MLX; every backend takes its sizes from here.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace mlx_convt {

// Spatial axes are padded on the left to three (depth, height, width) once,
// here, so that no other code asks for the rank.
inline constexpr int kAxes = 3;
using Triple = std::array<int64_t, kAxes>;
using Dims = std::vector<int64_t>;

// T(x, w, y) = sum y * convT(x, w) is linear in each array; each contraction
// takes two of them and returns the third.
enum class Contraction { Output, InputGrad, WeightGrad };

// The attributes of the call. In an unused leading axis the stride and the
// dilation are 1 and everything else is 0.
struct Window {
  int rank;
  Triple stride;
  Triple padding_lo;
  Triple padding_hi;
  Triple dilation;
  Triple output_padding;
  int64_t groups;

  bool operator==(const Window&) const = default;
};

// A window bound to sizes: all a backend needs to know.
struct Geometry {
  int64_t batch;
  Triple in; // input positions per axis
  Triple kernel;
  Triple out; // output positions per axis
  Triple stride;
  Triple padding; // low side; the high side is implied by `out`
  Triple dilation;
  int64_t c_in;
  int64_t c_out;
  int64_t groups;

  int64_t group_in() const {
    return c_in / groups;
  }
  int64_t group_out() const {
    return c_out / groups;
  }
  int64_t taps() const {
    return kernel[0] * kernel[1] * kernel[2];
  }
  int64_t in_pixels() const {
    return in[0] * in[1] * in[2];
  }
  int64_t out_pixels() const {
    return out[0] * out[1] * out[2];
  }
};

// "conv_transpose2d" for rank 2: the prefix of every error text.
std::string function_name(int rank);

// Checks the attributes (one entry per spatial axis) and pads them.
Window make_window(
    const Dims& stride,
    const Dims& padding_lo,
    const Dims& padding_hi,
    const Dims& dilation,
    const Dims& output_padding,
    int64_t groups);

// Throws std::invalid_argument where an attribute breaks a rule.
void check_window(const Window& window);

// Checks the shapes of a call, (N, *spatial, C_in) and (C_out, *kernel,
// C_in / groups), against the window and each other; throws
// std::invalid_argument.
Geometry
bind_output(const Window& window, const Dims& input, const Dims& weight);

// The inverse bindings, used by the gradients. The window holds both paddings
// and the output padding, so the missing size follows without ambiguity.
Geometry
bind_input_grad(const Window& window, const Dims& weight, const Dims& output);
Geometry
bind_weight_grad(const Window& window, const Dims& input, const Dims& output);

void check_bias(const Window& window, const Dims& bias, const Dims& weight);

// The shape, in MLX's layouts, of what a contraction returns.
Dims result_shape(Contraction contraction, int rank, const Geometry& geometry);

// "(2, 3, 4)"
std::string to_string(const Dims& values);

} // namespace mlx_convt
