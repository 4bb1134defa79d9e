// Weights as matrices of phases: packed in blocks, and column by column.
#include "check.h"
#include "cpu/weights.h"
#include "kernel_case.h"
#include "random_geometry.h"

namespace {

using namespace mlx_convt::cpu;
using test::Geometry;
using test::Note;
using test::Random;
using test::Triple;

// Positive integers that every format holds.
template <typename S>
std::vector<S> random_weights(Random& random, const Geometry& g) {
  std::vector<S> data(g.c_out * g.taps() * g.group_in());
  for (auto& value : data) {
    value = test::encode<S>(static_cast<double>(random(1, 200)));
  }
  return data;
}

// The weight of a tap of the phase, where `channel` belongs to the reduction.
template <typename S>
double weight_at(
    const WeightMatrices<S>& weights,
    const Phase& phase,
    int64_t group,
    const Triple& tap,
    int64_t channel,
    int64_t column) {
  auto& g = weights.geometry;
  int64_t results = weights.is_output ? g.group_out() : g.group_in();
  int64_t pixel = column / results;
  column %= results;
  int64_t o = group * g.group_out() + (weights.is_output ? column : channel);
  int64_t c = weights.is_output ? channel : column;
  int64_t index = o;
  for (int a = 0; a < test::kAxes; ++a) {
    int64_t k = phase.axis[a]->taps[tap[a]].kernel + (a == 2 ? pixel : 0);
    index = index * g.kernel[a] + k;
  }
  return test::decode(weights.data[index * g.group_in() + c]);
}

struct Row {
  Triple tap;
  int64_t channel;
};

std::vector<Row> rows_of(const std::vector<Piece>& pieces) {
  std::vector<Row> rows;
  for (auto& piece : pieces) {
    for (int64_t i = 0; i < piece.columns(); ++i) {
      auto tap = piece.tap;
      tap[2] += i / piece.channels;
      rows.push_back({tap, piece.channel + i % piece.channels});
    }
  }
  return rows;
}

template <typename S>
void check_blocks(
    Random& random,
    const WeightMatrices<S>& weights,
    const Phase& phase,
    const std::vector<Piece>& pieces) {
  using T = Acc<S>;
  int64_t lanes = kernels<T>().lanes;
  int64_t group = random(0, weights.geometry.groups - 1);
  int64_t first = random(0, weights.columns(phase) - 1);
  int64_t count = random(1, weights.columns(phase) - first);
  int64_t block = lanes * random(1, 9); // more and less than are turned at once
  auto rows = rows_of(pieces);
  auto depth = static_cast<int64_t>(rows.size());
  std::vector<T> packed(depth * test::round_up(count, lanes), T(-1));
  weights.pack_columns(
      packed.data(), phase, pieces, group, first, count, block);
  int wrong = 0;
  for (int64_t j = 0; j < count; j += block) {
    int64_t width = std::min(block, test::round_up(count - j, lanes));
    for (int64_t r = 0; r < depth; ++r) {
      for (int64_t i = 0; i < width; ++i) {
        auto& [tap, channel] = rows[r];
        double expected = j + i < count
            ? weight_at(weights, phase, group, tap, channel, first + j + i)
            : 0;
        wrong += packed[j * depth + r * width + i] != expected;
      }
    }
  }
  Note note(
      "group, first, count, block = " +
      test::show(test::Dims{group, first, count, block}));
  CHECK_EQUAL(wrong, 0);
}

template <typename S>
void check_column(
    Random& random,
    const WeightMatrices<S>& weights,
    const Phase& phase) {
  int64_t group = random(0, weights.geometry.groups - 1);
  int64_t column = random(0, weights.columns(phase) - 1);
  auto rows = rows_of(weights.whole_phase(phase));
  CHECK_EQUAL(static_cast<int64_t>(rows.size()), weights.rows(phase));
  std::vector<Acc<S>> packed(rows.size(), -1);
  weights.pack_column(packed.data(), phase, group, column);
  int wrong = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    wrong += packed[r] !=
        weight_at(weights, phase, group, rows[r].tap, rows[r].channel, column);
  }
  CHECK_EQUAL(wrong, 0);
}

template <typename S>
void check_weights(Random& random, const Geometry& g, bool is_output) {
  auto data = random_weights<S>(random, g);
  WeightMatrices<S> weights{data.data(), g, is_output};
  auto plan = is_output ? output_plan(g, folds_exactly(g) && random(0, 1))
                        : input_grad_plan(g);
  auto phase = plan.phase(random(0, plan.phases() - 1));
  check_column(random, weights, phase);
  int64_t limit = random(1, 3 * weights.channels() + 20);
  for (auto& pieces : chunk_columns(
           phase, all_taps(phase), weights.channels(), g.groups == 1, limit)) {
    check_blocks(random, weights, phase, pieces);
  }
}

TEST(packed_weights_are_blocks_of_columns) {
  Random random(31);
  for (int i = 0; i < 600; ++i) {
    test::Limits limits{1, 4, 5, 4, 2, 40, 40, 3};
    if (i % 6 == 0) {
      limits = {1, 4, 3, 3, 2, 300, 300, 2};
    }
    auto g = test::random_call(random, limits).geometry;
    bool is_output = random(0, 1);
    Note note(test::show(g) + (is_output ? ", Output" : ", InputGrad"));
    check_weights<float>(random, g, is_output);
    check_weights<test::Half>(random, g, is_output);
    check_weights<test::BFloat>(random, g, is_output);
    check_weights<double>(random, g, is_output);
  }
}

} // namespace
