#include "random_geometry.h"

#include <stdexcept>

#include "check.h"

namespace test {

Call random_call(Random& random, const Limits& limits) {
  for (;;) {
    int64_t rank = random(1, 3);
    Dims stride, lo, hi, dilation, output_padding, in, kernel;
    for (int64_t a = 0; a < rank; ++a) {
      stride.push_back(random(1, limits.stride));
      dilation.push_back(random(1, limits.dilation));
      in.push_back(random(1, limits.in));
      kernel.push_back(random(1, limits.kernel));
      int64_t widest = dilation[a] * (kernel[a] - 1) + random(0, 3);
      lo.push_back(random(0, widest));
      hi.push_back(random(0, widest));
      output_padding.push_back(random(0, std::max(stride[a], dilation[a]) - 1));
    }
    int64_t groups = random(1, limits.groups);
    int64_t group_in = random(1, limits.group_in);
    Dims input = in;
    input.insert(input.begin(), random(1, limits.batch));
    input.push_back(groups * group_in);
    Dims weight = kernel;
    weight.insert(weight.begin(), groups * random(1, limits.group_out));
    weight.push_back(group_in);
    auto window = mlx_convt::make_window(
        stride, lo, hi, dilation, output_padding, groups);
    try {
      return {window, input, weight, bind_output(window, input, weight)};
    } catch (const std::invalid_argument&) {
      continue; // the padding leaves no output
    }
  }
}

Geometry make_geometry(
    const Dims& input,
    const Dims& weight,
    int64_t stride,
    int64_t padding,
    int64_t dilation,
    int64_t groups) {
  size_t rank = input.size() - 2;
  auto all = [&](int64_t value) { return Dims(rank, value); };
  return bind_output(
      mlx_convt::make_window(
          all(stride),
          all(padding),
          all(padding),
          all(dilation),
          all(0),
          groups),
      input,
      weight);
}

std::string show(const Geometry& g) {
  return "batch " + show(g.batch) + ", in " + show(g.in) + ", kernel " +
      show(g.kernel) + ", out " + show(g.out) + ", stride " + show(g.stride) +
      ", padding " + show(g.padding) + ", dilation " + show(g.dilation) +
      ", channels " + show(g.c_in) + " to " + show(g.c_out) + ", groups " +
      show(g.groups);
}

std::vector<Term> terms_of(const Geometry& g, int axis) {
  std::vector<Term> terms;
  for (int64_t i = 0; i < g.in[axis]; ++i) {
    for (int64_t k = 0; k < g.kernel[axis]; ++k) {
      int64_t o = i * g.stride[axis] + k * g.dilation[axis] - g.padding[axis];
      if (o >= 0 && o < g.out[axis]) {
        terms.push_back({i, k, o});
      }
    }
  }
  return terms;
}

} // namespace test
