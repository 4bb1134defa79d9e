// The loops that measure the machine do all of the work that is counted.
#include <vector>

#include "check.h"
#include "kernel_case.h"

namespace {

using namespace test;

template <typename T>
void check_loops(const PeakLoops<T>& loops, int lanes) {
  // Chain i of each lane starts with i and grows by one in a round.
  int64_t chains = loops.round_flops / (2 * lanes);
  for (int64_t rounds : {0, 1, 7}) {
    int64_t sum = lanes * (chains * (chains - 1) / 2 + chains * rounds);
    CHECK_EQUAL(loops.multiply_add(rounds, T(1), T(1)), T(sum));
  }
  CHECK_EQUAL(loops.multiply_add(100, T(0.5), T(1)), T(2 * chains * lanes));

  const int64_t step = 256 / sizeof(T);
  for (int64_t count : {int64_t(0), step, 5 * step}) {
    std::vector<T> values(count + 1, T(1));
    CHECK_EQUAL(loops.read(values.data(), count), T(count));
    loops.write(values.data(), count, T(2));
    std::vector<T> expected(count, T(2));
    expected.push_back(T(1));
    CHECK(values == expected);
  }
}

TEST(peak_loops) {
  for (auto* set : supported_sets()) {
    Note note(set->name);
    check_loops(set->peak_f32, set->f32.lanes);
    check_loops(set->peak_f64, set->f64.lanes);
  }
}

} // namespace
