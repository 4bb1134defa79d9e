// What the environment may name, the texts for what it may not, and what is
// chosen where it names nothing.
#include <cstdlib>
#include <stdexcept>

#include "check.h"
#include "cpu/algorithms.h"
#include "cpu/cost.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/select.h"
#include "cpu/plan.h"
#include "problem_case.h"

namespace {

using namespace mlx_convt::cpu;
using mlx_convt::Contraction;
using mlx_convt::Geometry;

// Sets an environment variable and gives it its old value back.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    const char* old = std::getenv(name);
    was_set_ = old;
    old_ = old ? old : "";
    setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    was_set_ ? setenv(name_, old_.c_str(), 1) : unsetenv(name_);
  }
  Environment(const Environment&) = delete;

 private:
  const char* name_;
  bool was_set_;
  std::string old_;
};

TEST(algorithms_are_found_by_name) {
  const char* variable = "MLX_CONVT_ALGORITHM";
  std::string names;
  for (auto& algorithm : algorithms()) {
    Environment environment(variable, algorithm.name);
    CHECK_EQUAL(find_algorithm(algorithm.name), &algorithm);
    CHECK_EQUAL(forced_algorithm(), &algorithm);
    names += std::string(", ") + algorithm.name;
  }
  for (std::string name : {"auto", ""}) {
    Environment environment(variable, name);
    CHECK(forced_algorithm() == nullptr);
  }
  Environment environment(variable, "nope");
  CHECK_EQUAL(
      test::error_of<std::invalid_argument>([] { forced_algorithm(); }),
      "[mlx_convt] MLX_CONVT_ALGORITHM must be one of auto" + names +
          ". Got nope.");
}

TEST(instruction_sets_are_found_by_name) {
  const char* variable = "MLX_CONVT_INSTRUCTION_SET";
  auto sets = supported_sets();
  std::string names;
  for (auto* set : sets) {
    Environment environment(variable, set->name);
    CHECK_EQUAL(&select(), set);
    names += (names.empty() ? "" : ", ") + std::string(set->name);
  }
  {
    Environment environment(variable, "");
    CHECK_EQUAL(&select(), sets[0]);
  }
  Environment environment(variable, "nope");
  CHECK_EQUAL(
      test::error_of<std::runtime_error>([] { select(); }),
      "[mlx_convt] MLX_CONVT_INSTRUCTION_SET must be one of " + names +
          " on this processor. Got nope.");
}

// The reason is empty exactly where run() may be called.
TEST(algorithms_say_why_not) {
  mlx_convt::Geometry g{
      1, {1, 1, 2}, {1, 1, 2}, {1, 1, 3}, {1, 1, 1}, {}, {1, 1, 1}, 4, 4, 2};
  auto why_not = [&](const char* name, mlx_convt::Contraction contraction) {
    return find_algorithm(name)->why_not({contraction, g, Scalar::F32, false});
  };
  CHECK_EQUAL(why_not("lanewise", Contraction::Output), "");
  CHECK_EQUAL(why_not("lanewise", Contraction::WeightGrad), "");
  CHECK_EQUAL(why_not("dot", Contraction::Output), "");
  CHECK_EQUAL(
      why_not("dot", Contraction::WeightGrad), "it has no weight gradient");
  CHECK_EQUAL(why_not("polyphase", Contraction::WeightGrad), "");
  CHECK_EQUAL(why_not("reference", Contraction::WeightGrad), "");
  for (int64_t Geometry::* channels : {&Geometry::c_in, &Geometry::c_out}) {
    auto wide = g;
    wide.*channels = 18;
    CHECK_EQUAL(
        find_algorithm("lanewise")
            ->why_not({Contraction::Output, wide, Scalar::F32, false}),
        "a group must have at most 8 input and 8 output channels");
    wide.*channels = 0;
    CHECK_EQUAL(
        find_algorithm("lanewise")
            ->why_not({Contraction::Output, wide, Scalar::F32, false}),
        "there must be channels");
  }
  CHECK_EQUAL(why_not("strip", Contraction::Output), "");
  for (auto contraction : {Contraction::InputGrad, Contraction::WeightGrad}) {
    CHECK_EQUAL(why_not("strip", contraction), "it has the output only");
  }
  for (auto [c_out, reason] :
       {std::pair(256, ""),
        {258,
         "stride and output channels per group must make at most 256 results "
         "per position"}}) {
    auto wide = g;
    wide.c_out = 2 * c_out;
    CHECK_EQUAL(
        find_algorithm("strip")->why_not(
            {Contraction::Output, wide, Scalar::F32, false}),
        reason);
  }
  g.dilation[2] = 1 << 10;
  CHECK_EQUAL(why_not("lanewise", Contraction::InputGrad), "");
  CHECK_EQUAL(why_not("strip", Contraction::Output), "");
  g.dilation[2] = 1 << 20;
  CHECK_EQUAL(
      why_not("lanewise", Contraction::InputGrad),
      "the kernel must not span more lines than fit 4 MiB");
  CHECK_EQUAL(
      why_not("strip", Contraction::Output),
      "the taps must not lie further apart than fits 1 Mi values");
}

// The first that can run it and suits it.
std::string choice(
    Contraction contraction,
    const Geometry& g,
    Scalar scalar = Scalar::F32) {
  Problem problem{contraction, g, scalar, false};
  for (auto& algorithm : algorithms()) {
    if (std::string(algorithm.name) != "blas" &&
        algorithm.why_not(problem).empty() && algorithm.suits(problem)) {
      return algorithm.name;
    }
  }
  return "";
}

// Layers far from any boundary between two of them, with vectors of 8 or 16.
TEST(layers_get_the_algorithm_that_suits_them) {
  if (kernels<float>().lanes < 8) {
    return;
  }
  using test::make_geometry;
  auto output = Contraction::Output;
  auto input_grad = Contraction::InputGrad;
  // Few output channels: super-resolution to one, DCGAN's to three.
  auto fsrcnn = make_geometry({1, 64, 64, 56}, {1, 9, 9, 56}, 3, 4);
  auto dcgan = make_geometry({16, 32, 32, 64}, {3, 4, 4, 64}, 2, 1);
  for (auto& g : {fsrcnn, dcgan}) {
    CHECK_EQUAL(choice(output, g), "strip");
    CHECK_EQUAL(choice(output, g, Scalar::F16), "strip");
    CHECK_EQUAL(choice(input_grad, g), "polyphase");
  }
  // One pixel with megabytes of weights, each of which is read once.
  auto pix2pix = make_geometry({1, 1, 1, 512}, {512, 4, 4, 512}, 2, 1);
  CHECK_EQUAL(choice(output, pix2pix), "dot");
  CHECK_EQUAL(choice(input_grad, pix2pix), "polyphase");
  // Wide on both sides; kernel = stride; depthwise.
  auto unet = make_geometry({1, 32, 32, 256}, {128, 2, 2, 256}, 2);
  auto cyclegan = make_geometry({1, 64, 64, 256}, {128, 3, 3, 256}, 2, 1);
  for (auto contraction : test::kContractions) {
    CHECK_EQUAL(choice(contraction, unet), "polyphase");
  }
  // No taps to join, with few rows too; and a pixel, most of whose taps hang
  // over the edge.
  auto small = make_geometry({1, 6, 6, 512}, {256, 2, 2, 512}, 2);
  auto pixel = make_geometry({64, 1, 1, 100}, {512, 4, 4, 100}, 1);
  auto cropped = make_geometry({128, 2, 2, 256}, {256, 8, 8, 256}, 2, 3);
  for (auto contraction : test::kContractions) {
    CHECK(choice(contraction, small) != "winograd");
    CHECK(choice(contraction, pixel) != "winograd");
    CHECK(choice(contraction, cropped) != "winograd");
  }
  // Taps to join; not in float64, nor where sums are short.
  auto narrow = make_geometry({1, 64, 64, 256}, {15, 4, 4, 256}, 2, 1);
  auto shallow = make_geometry({1, 64, 64, 15}, {256, 4, 4, 15}, 2, 1);
  for (auto contraction : {output, input_grad}) {
    CHECK_EQUAL(choice(contraction, cyclegan), "winograd");
    CHECK_EQUAL(choice(contraction, cyclegan, Scalar::F16), "winograd");
    CHECK_EQUAL(choice(contraction, cyclegan, Scalar::F64), "polyphase");
    CHECK(choice(contraction, narrow) != "winograd");
    CHECK(choice(contraction, shallow) != "winograd");
  }
  auto depthwise = make_geometry({1, 32, 32, 64}, {64, 4, 4, 1}, 2, 1, 1, 64);
  for (auto contraction : test::kContractions) {
    CHECK_EQUAL(choice(contraction, depthwise), "lanewise");
  }
}

// More to compute never costs less. Output only; with vectors of any length.
TEST(costs_grow_with_the_problem) {
  test::Random random(61);
  for (int i = 0; i < 2000; ++i) {
    auto g = test::random_call(random, {3, 20, 5, 4, 2, 70, 70, 2}).geometry;
    test::Note note(test::show(g));
    auto scalar = test::kScalars[i % 4];
    auto grows = [&](double (*cycles)(const Problem&),
                     int64_t Geometry::* size,
                     Contraction contraction) {
      auto larger = g;
      larger.*size *= 2;
      double before = cycles({contraction, g, scalar, false});
      double after = cycles({contraction, larger, scalar, false});
      CHECK(before > 0 && after > before && after <= 4 * before);
    };
    for (auto contraction : {Contraction::Output, Contraction::InputGrad}) {
      grows(tile_cycles, &Geometry::batch, contraction);
      grows(dot_cycles, &Geometry::batch, contraction);
    }
    for (auto size : {&Geometry::batch, &Geometry::c_in, &Geometry::c_out}) {
      grows(strip_cycles, size, Contraction::Output);
    }
    Problem problem{Contraction::Output, g, scalar, false};
    CHECK(!fold_suits(problem) || folds_exactly(g));
    problem.contraction = Contraction::InputGrad;
    CHECK(!fold_suits(problem));
  }
}

// Phases become columns where they would not fill a vector, or fill more.
TEST(phases_are_folded_where_it_fills_vectors) {
  int64_t lanes = kernels<float>().lanes;
  auto folds = [&](int64_t c_out, int64_t padding) {
    auto g = test::make_geometry({1, 8, 40, 8}, {c_out, 4, 4, 8}, 2, padding);
    return fold_suits({Contraction::Output, g, Scalar::F32, false});
  };
  for (int64_t padding : {0, 1}) {
    CHECK(folds(lanes / 2, padding));
    CHECK(folds(lanes, padding));
  }
  // Of 40 positions one more is a few percent, of a few it is a half.
  auto narrow = test::make_geometry({1, 8, 2, 8}, {lanes, 4, 4, 8}, 2, 1);
  CHECK(!fold_suits({Contraction::Output, narrow, Scalar::F32, false}));
}

} // namespace
