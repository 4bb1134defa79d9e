// Sizes, their inverses, the limits of 64 bits, and every error text.
#include <stdexcept>

#include "check.h"
#include "random_geometry.h"

namespace {

using namespace mlx_convt;
using test::Note;
using test::show;

constexpr int64_t kLargest = 2147483647; // 2^31 - 1

// A valid call of rank 1, to change one thing of.
struct Attributes {
  Dims stride = {1};
  Dims lo = {0};
  Dims hi = {0};
  Dims dilation = {1};
  Dims output_padding = {0};
  int64_t groups = 1;

  Window window() const {
    return make_window(stride, lo, hi, dilation, output_padding, groups);
  }
};

std::string window_error(const Attributes& attributes) {
  return test::error_of<std::invalid_argument>([&] { attributes.window(); });
}

std::string bind_error(
    const Attributes& attributes,
    const Dims& input,
    const Dims& weight) {
  return test::error_of<std::invalid_argument>(
      [&] { bind_output(attributes.window(), input, weight); });
}

int64_t output_size(const Attributes& attributes, int64_t in, int64_t kernel) {
  return bind_output(attributes.window(), {1, in, 1}, {1, kernel, 1}).out[2];
}

TEST(gradients_recover_every_size) {
  test::Random random(4);
  for (int i = 0; i < 5000; ++i) {
    auto call = test::random_call(random, {7, 9, 6, 5, 4, 4, 4, 4});
    auto& g = call.geometry;
    Note note(test::show(g));
    int rank = call.window.rank;
    Dims output = result_shape(Contraction::Output, rank, g);
    auto x = bind_input_grad(call.window, call.weight, output);
    auto w = bind_weight_grad(call.window, call.input, output);
    CHECK_EQUAL(result_shape(Contraction::InputGrad, rank, x), call.input);
    CHECK_EQUAL(result_shape(Contraction::WeightGrad, rank, w), call.weight);
    for (auto* other : {&x, &w}) {
      CHECK_EQUAL(test::show(*other), test::show(g));
      CHECK_EQUAL(result_shape(Contraction::Output, rank, *other), output);
    }
    for (int a = 0; a < kAxes; ++a) {
      CHECK_EQUAL(
          g.out[a],
          (g.in[a] - 1) * g.stride[a] - call.window.padding_lo[a] -
              call.window.padding_hi[a] + g.dilation[a] * (g.kernel[a] - 1) +
              call.window.output_padding[a] + 1);
      bool used = a >= kAxes - rank;
      CHECK(used || (g.in[a] == 1 && g.kernel[a] == 1 && g.out[a] == 1));
    }
  }
}

TEST(empty_arrays_keep_their_sizes) {
  for (auto& input : {Dims{0, 3, 2}, Dims{2, 0, 2}, Dims{2, 3, 0}}) {
    for (int64_t c_out : {0, 4}) {
      Dims weight = {c_out, 5, input[2]};
      auto window = Attributes{.stride = {3}}.window();
      auto g = bind_output(window, input, weight);
      auto output = result_shape(Contraction::Output, 1, g);
      CHECK_EQUAL(output, (Dims{input[0], input[1] * 3 + 2, c_out}));
      CHECK_EQUAL(show(bind_input_grad(window, weight, output)), show(g));
      CHECK_EQUAL(show(bind_weight_grad(window, input, output)), show(g));
    }
  }
}

TEST(sizes_near_the_limit_do_not_overflow) {
  Attributes wide{.stride = {kLargest - 1}};
  CHECK_EQUAL(output_size(wide, 2, 1), kLargest);
  CHECK_EQUAL(output_size({.dilation = {kLargest - 1}}, 1, 2), kLargest);
  CHECK_EQUAL(
      output_size({.lo = {kLargest}, .hi = {kLargest - 2}}, kLargest, kLargest),
      1);
  const char* rule =
      "[conv_transpose1d] every output size must be at least 1 and less than "
      "2^31. Got output size ";
  CHECK_EQUAL(
      bind_error({.stride = {kLargest}}, {1, 2, 1}, {1, 1, 1}),
      rule +
          std::string(
              "(2147483648,) from input shape (1, 2, 1), weight "
              "shape (1, 1, 1)."));
  CHECK_EQUAL(
      bind_error(
          {.stride = {kLargest}, .dilation = {kLargest}},
          {1, kLargest, 1},
          {1, kLargest, 1}),
      rule +
          std::string(
              "(9223372023969873925,) from input shape (1, 2147483647, "
              "1), weight shape (1, 2147483647, 1)."));
  CHECK_EQUAL(
      bind_error({.lo = {kLargest}, .hi = {kLargest}}, {1, 0, 1}, {1, 1, 1}),
      rule +
          std::string(
              "(-4294967294,) from input shape (1, 0, 1), weight "
              "shape (1, 1, 1)."));
}

TEST(outputs_beyond_64_bits_are_refused) {
  int64_t half = int64_t(1) << 30;
  auto g = bind_output(Attributes{}.window(), {half / 2, half, 1}, {1, 1, 1});
  CHECK_EQUAL(g.out[2], half);
  CHECK_EQUAL(
      bind_error({}, {half / 2 + 1, half, 1}, {1, 1, 1}),
      "[conv_transpose1d] the output must have at most 2^59 elements. Got "
      "output shape (536870913, 1073741824, 1).");
}

TEST(attribute_errors_name_the_rule_and_the_values) {
  struct Field {
    const char* name;
    Dims Attributes::* values;
    int64_t least;
  };
  for (auto& [name, values, least] :
       {Field{"stride", &Attributes::stride, 1},
        Field{"padding", &Attributes::lo, 0},
        Field{"padding", &Attributes::hi, 0},
        Field{"dilation", &Attributes::dilation, 1},
        Field{"output_padding", &Attributes::output_padding, 0}}) {
    auto error = [&](int64_t value, const std::string& rule) {
      Attributes attributes;
      attributes.*values = {value};
      std::string begin = std::string("[conv_transpose1d] ") + name;
      CHECK_EQUAL(
          window_error(attributes),
          begin + " must be " + rule + ". Got " + name + " (" + show(value) +
              ",).");
    };
    error(least - 1, "at least " + show(least));
    error(INT64_MIN, "at least " + show(least));
    error(kLargest + 1, "less than 2^31");
    error(INT64_MAX, "less than 2^31");
  }
  CHECK_EQUAL(
      window_error(
          {.stride = {2, 3},
           .lo = {0, 0},
           .hi = {0, 0},
           .dilation = {4, 1},
           .output_padding = {3, 3}}),
      "[conv_transpose2d] output_padding must be smaller than stride or "
      "dilation. Got output_padding (3, 3), stride (2, 3), dilation (4, 1).");
  for (int64_t groups : {int64_t(0), int64_t(-1), kLargest + 1, INT64_MAX}) {
    CHECK_EQUAL(
        window_error({.groups = groups}),
        "[conv_transpose1d] groups must be at least 1 and less than 2^31. Got "
        "groups " +
            show(groups) + ".");
  }
  CHECK_EQUAL(
      window_error({.dilation = {1, 1}}),
      "[conv_transpose1d] every attribute must have one value per spatial "
      "axis. Got (1, 1) for rank 1.");
  for (Dims stride : {Dims{}, Dims{1, 1, 1, 1}}) {
    CHECK_EQUAL(
        window_error({.stride = stride}),
        "[conv_transpose] there must be 1 to 3 spatial axes. Got " +
            show(stride.size()) + ".");
  }
}

TEST(shape_errors_name_the_rule_and_the_shapes) {
  CHECK_EQUAL(
      bind_error({}, {1, 2}, {1, 2, 1}),
      "[conv_transpose1d] input must have 3 dimensions, (N, *spatial, C_in). "
      "Got shape (1, 2).");
  CHECK_EQUAL(
      bind_error({}, {1, 2, 1}, {1, 2, 1, 1}),
      "[conv_transpose1d] weight must have 3 dimensions, (C_out, *kernel, "
      "C_in / groups). Got shape (1, 2, 1, 1).");
  CHECK_EQUAL(
      bind_error({.groups = 2}, {1, 2, 3}, {2, 2, 1}),
      "[conv_transpose1d] the input channels must be divisible by groups. Got "
      "input shape (1, 2, 3), groups 2.");
  CHECK_EQUAL(
      bind_error({.groups = 2}, {1, 2, 4}, {3, 2, 2}),
      "[conv_transpose1d] the output channels must be divisible by groups. "
      "Got weight shape (3, 2, 2), groups 2.");
  CHECK_EQUAL(
      bind_error({.groups = 2}, {1, 2, 4}, {2, 2, 4}),
      "[conv_transpose1d] the input channels must equal the weight's last "
      "dimension times groups. Got input shape (1, 2, 4), weight shape (2, 2, "
      "4), groups 2.");
  CHECK_EQUAL(
      bind_error({}, {1, 2, 1}, {1, 0, 1}),
      "[conv_transpose1d] kernel sizes must be at least 1. Got weight shape "
      "(1, 0, 1).");
  auto window = Attributes{}.window();
  for (auto& bias : {Dims{3}, Dims{2, 1}, Dims{}}) {
    CHECK_EQUAL(
        test::error_of<std::invalid_argument>(
            [&] { check_bias(window, bias, {2, 3, 1}); }),
        "[conv_transpose1d] bias must have one value per output channel. Got "
        "bias shape " +
            to_string(bias) + ", weight shape (2, 3, 1).");
  }
  check_bias(window, {2}, {2, 3, 1});
}

} // namespace
