// The formula as it stands, in loops: slow, and what the other algorithms are
// tested against.
#include "reference.h"

namespace mlx_convt::cpu {
namespace {

// Calls f(input pixel, output pixel, kernel index) for every triple that the
// formula joins in one image.
template <typename F>
void for_each_term(const Geometry& g, F&& f) {
  Triple i, k, o;
  auto inside = [&](int a) {
    o[a] = i[a] * g.stride[a] - g.padding[a] + k[a] * g.dilation[a];
    return o[a] >= 0 && o[a] < g.out[a];
  };
  for (i[0] = 0; i[0] < g.in[0]; ++i[0])
    for (k[0] = 0; k[0] < g.kernel[0]; ++k[0])
      if (inside(0))
        for (i[1] = 0; i[1] < g.in[1]; ++i[1])
          for (k[1] = 0; k[1] < g.kernel[1]; ++k[1])
            if (inside(1))
              for (i[2] = 0; i[2] < g.in[2]; ++i[2])
                for (k[2] = 0; k[2] < g.kernel[2]; ++k[2])
                  if (inside(2)) {
                    f((i[0] * g.in[1] + i[1]) * g.in[2] + i[2],
                      (o[0] * g.out[1] + o[1]) * g.out[2] + o[2],
                      (k[0] * g.kernel[1] + k[1]) * g.kernel[2] + k[2]);
                  }
}

template <typename S>
std::vector<double> wide(const void* data, int64_t count) {
  std::vector<Acc<S>> acc(count);
  copies<S>().widen(acc.data(), static_cast<const S*>(data), count);
  return {acc.begin(), acc.end()};
}

template <typename S>
void run(const Problem& problem, const Buffers& buffers) {
  auto& g = problem.geometry;
  int64_t x_size = g.batch * g.in_pixels() * g.c_in;
  int64_t w_size = g.c_out * g.taps() * g.group_in();
  int64_t y_size = g.batch * g.out_pixels() * g.c_out;
  std::vector<double> x(x_size), w(w_size), y(y_size);
  switch (problem.contraction) {
    case Contraction::Output:
      x = wide<S>(buffers.first, x_size);
      w = wide<S>(buffers.second, w_size);
      break;
    case Contraction::InputGrad:
      w = wide<S>(buffers.first, w_size);
      y = wide<S>(buffers.second, y_size);
      break;
    default:
      x = wide<S>(buffers.first, x_size);
      y = wide<S>(buffers.second, y_size);
  }
  if (problem.has_bias) {
    auto bias = wide<S>(buffers.bias, g.c_out);
    for (int64_t i = 0; i < y_size; ++i) {
      y[i] = bias[i % g.c_out];
    }
  }

  for (int64_t n = 0; n < g.batch; ++n) {
    for_each_term(g, [&](int64_t in, int64_t out, int64_t kernel) {
      for (int64_t o = 0; o < g.c_out; ++o) {
        int64_t group = o / g.group_out();
        double* x_row =
            x.data() + (n * g.in_pixels() + in) * g.c_in + group * g.group_in();
        double* w_row = w.data() + (o * g.taps() + kernel) * g.group_in();
        double& y_value = y[(n * g.out_pixels() + out) * g.c_out + o];
        for (int64_t c = 0; c < g.group_in(); ++c) {
          switch (problem.contraction) {
            case Contraction::Output:
              y_value += x_row[c] * w_row[c];
              break;
            case Contraction::InputGrad:
              x_row[c] += y_value * w_row[c];
              break;
            default:
              w_row[c] += y_value * x_row[c];
          }
        }
      }
    });
  }

  auto& result = problem.contraction == Contraction::Output ? y
      : problem.contraction == Contraction::InputGrad       ? x
                                                            : w;
  std::vector<Acc<S>> acc(result.begin(), result.end());
  copies<S>().narrow(
      static_cast<S*>(buffers.result),
      acc.data(),
      static_cast<int64_t>(acc.size()));
}

} // namespace

void run_reference(const Problem& problem, const Buffers& buffers) {
  with_storage(
      problem.scalar, [&]<typename S>(S) { run<S>(problem, buffers); });
}

} // namespace mlx_convt::cpu
