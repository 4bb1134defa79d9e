// What the environment may name, and the texts for what it may not.
#include <cstdlib>
#include <stdexcept>

#include "check.h"
#include "cpu/algorithms.h"
#include "cpu/isa/select.h"
#include "instruction_set_list.h"

namespace {

using namespace mlx_convt::cpu;
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
  auto sets = test::instruction_sets();
  std::string names;
  for (auto* set : sets) {
    Environment environment(variable, set->name);
    CHECK_EQUAL(&select(test::kBuilt), set);
    names += (names.empty() ? "" : ", ") + std::string(set->name);
  }
  {
    Environment environment(variable, "");
    CHECK_EQUAL(&select(test::kBuilt), sets[0]);
  }
  Environment environment(variable, "nope");
  CHECK_EQUAL(
      test::error_of<std::runtime_error>([] { select(test::kBuilt); }),
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
  using mlx_convt::Contraction;
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
  g.dilation[2] = 1 << 10;
  CHECK_EQUAL(why_not("lanewise", Contraction::InputGrad), "");
  g.dilation[2] = 1 << 20;
  CHECK_EQUAL(
      why_not("lanewise", Contraction::InputGrad),
      "the kernel must not span more lines than fit 4 MiB");
}

} // namespace
