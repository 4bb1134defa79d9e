#include "problem_case.h"

#include <cstring>

#include "check.h"

namespace test {
namespace {

Values random_values(Random& random, int64_t count) {
  Values values(count);
  for (auto& value : values) {
    value = static_cast<double>(random(-3, 3));
  }
  return values;
}

template <typename S>
std::vector<S> stored(const Values& values) {
  std::vector<S> data(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    data[i] = encode<S>(values[i]);
  }
  return data;
}

template <typename S>
Values decoded(const std::vector<S>& data) {
  Values values(data.size());
  for (size_t i = 0; i < data.size(); ++i) {
    values[i] = decode(data[i]);
  }
  return values;
}

} // namespace

Values& Arrays::first(Contraction contraction) {
  return contraction == Contraction::InputGrad ? w : x;
}
Values& Arrays::second(Contraction contraction) {
  return contraction == Contraction::Output ? w : y;
}
Values& Arrays::result(Contraction contraction) {
  return contraction == Contraction::Output   ? y
      : contraction == Contraction::InputGrad ? x
                                              : w;
}

Arrays random_arrays(Random& random, const Geometry& g, bool has_bias) {
  Arrays arrays{
      random_values(random, g.batch * g.in_pixels() * g.c_in),
      random_values(random, g.c_out * g.taps() * g.group_in()),
      random_values(random, g.batch * g.out_pixels() * g.c_out),
      {}};
  if (has_bias) {
    arrays.bias = random_values(random, g.c_out);
  }
  return arrays;
}

Values expected(Contraction contraction, const Geometry& g, Arrays arrays) {
  auto& [x, w, y, bias] = arrays;
  auto& result = arrays.result(contraction);
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = bias && contraction == Contraction::Output
        ? (*bias)[i % bias->size()]
        : 0;
  }
  std::vector<Term> terms[kAxes];
  for (int a = 0; a < kAxes; ++a) {
    terms[a] = terms_of(g, a);
  }
  auto join = [&](double& x, double& w, double& y) {
    switch (contraction) {
      case Contraction::Output:
        y += x * w;
        break;
      case Contraction::InputGrad:
        x += y * w;
        break;
      default:
        w += x * y;
    }
  };
  for (auto& d : terms[0]) {
    for (auto& h : terms[1]) {
      for (auto& v : terms[2]) {
        int64_t in = (d.in * g.in[1] + h.in) * g.in[2] + v.in;
        int64_t out = (d.out * g.out[1] + h.out) * g.out[2] + v.out;
        int64_t kernel =
            (d.kernel * g.kernel[1] + h.kernel) * g.kernel[2] + v.kernel;
        for (int64_t n = 0; n < g.batch; ++n) {
          for (int64_t o = 0; o < g.c_out; ++o) {
            int64_t first = o / g.group_out() * g.group_in();
            for (int64_t c = 0; c < g.group_in(); ++c) {
              join(
                  x[(n * g.in_pixels() + in) * g.c_in + first + c],
                  w[(o * g.taps() + kernel) * g.group_in() + c],
                  y[(n * g.out_pixels() + out) * g.c_out + o]);
            }
          }
        }
      }
    }
  }
  return result;
}

Values
computed(const Algorithm* algorithm, const Problem& problem, Arrays arrays) {
  Values values;
  with_storage(problem.scalar, [&]<typename S>(S) {
    auto first = stored<S>(arrays.first(problem.contraction));
    auto second = stored<S>(arrays.second(problem.contraction));
    auto bias = stored<S>(arrays.bias.value_or(Values{}));
    std::vector<S> result(arrays.result(problem.contraction).size());
    // All ones: NaN in every format.
    std::memset(
        static_cast<void*>(result.data()), 0xff, result.size() * sizeof(S));
    mlx_convt::cpu::run(
        algorithm,
        problem,
        {first.data(),
         second.data(),
         problem.has_bias ? bias.data() : nullptr,
         result.data()});
    values = decoded(result);
  });
  return values;
}

Values rounded(Scalar scalar, Values values) {
  mlx_convt::cpu::with_storage(
      scalar, [&]<typename S>(S) { values = decoded(stored<S>(values)); });
  return values;
}

std::string show(const Problem& problem) {
  const char* contractions[] = {"Output", "InputGrad", "WeightGrad"};
  const char* scalars[] = {"F32", "F16", "BF16", "F64"};
  return std::string(contractions[static_cast<int>(problem.contraction)]) +
      " " + scalars[static_cast<int>(problem.scalar)] +
      (problem.has_bias ? " with bias: " : ": ") + show(problem.geometry);
}

std::string difference(const Values& computed, const Values& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!(computed[i] == expected[i])) { // also for NaN
      return "value " + show(i) + ": " + show(computed[i]) + " instead of " +
          show(expected[i]);
    }
  }
  return "";
}

void check_exact(Random& random, Contraction contraction, const Geometry& g) {
  bool has_bias = contraction == Contraction::Output && random(0, 1);
  auto arrays = random_arrays(random, g, has_bias);
  if (arrays.result(contraction).empty()) {
    return; // never reaches the engine
  }
  auto exact = expected(contraction, g, arrays);
  for (auto scalar : kScalars) {
    Problem problem{contraction, g, scalar, has_bias};
    auto wanted = rounded(scalar, exact);
    for_each_algorithm(problem, [&](auto& algorithm) {
      CHECK_EQUAL(
          difference(computed(&algorithm, problem, arrays), wanted), "");
    });
  }
}

} // namespace test
