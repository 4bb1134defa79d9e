// What the kernels are told of the phases: parameters and tables.
#include <algorithm>

#include "launches.h"
#include "phases.h"

namespace mlx_convt::metal {
namespace {

void copy(const Triple& from, int* to) {
  std::transform(from.begin(), from.end(), to, [](int64_t value) {
    return static_cast<int>(value);
  });
}

} // namespace

template <typename F>
void Phases::for_each_class(F&& f) const {
  Triple i;
  for (i[0] = 0; i[0] < std::ssize(axes_[0].classes); ++i[0]) {
    for (i[1] = 0; i[1] < std::ssize(axes_[1].classes); ++i[1]) {
      for (i[2] = 0; i[2] < std::ssize(axes_[2].classes); ++i[2]) {
        f(i);
      }
    }
  }
}

// f(tap's index in the kernel, its source offset), in the order of slots.
template <typename F>
void Phases::for_each_tap(const Triple& index, F&& f) const {
  Triple j;
  auto taps = [&](int a) { return axes_[a].classes[index[a]].taps; };
  for (j[0] = 0; j[0] < taps(0); ++j[0]) {
    for (j[1] = 0; j[1] < taps(1); ++j[1]) {
      for (j[2] = 0; j[2] < taps(2); ++j[2]) {
        Triple tap;
        Triple offset;
        for (int a = 0; a < kAxes; ++a) {
          auto& one = axes_[a].classes[index[a]];
          tap[a] = one.first_tap + j[a] * axes_[a].tap_step;
          offset[a] = one.first_offset + j[a] * axes_[a].offset_step;
        }
        f(tap, offset);
      }
    }
  }
}

Correlation Phases::parameters() const {
  bool is_output = contraction_ == Contraction::Output;
  Correlation p{};
  p.batch = g_.batch;
  copy(is_output ? g_.in : g_.out, p.source);
  copy(is_output ? g_.out : g_.in, p.result);
  copy(g_.kernel, p.window);
  int start = 0;
  for (int a = 0; a < kAxes; ++a) {
    auto& axis = axes_[a];
    p.source_step[a] = axis.source_step;
    p.result_step[a] = axis.result_step;
    p.tap_step[a] = axis.tap_step;
    p.offset_step[a] = axis.offset_step;
    p.classes[a] = axis.classes.size();
    p.fold[a] = axis.fold;
    p.slots[a] = axis.slots();
    p.class_start[a] = start;
    start += p.classes[a];
  }
  p.source_channels = is_output ? g_.c_in : g_.c_out;
  p.result_channels = is_output ? g_.c_out : g_.c_in;
  p.group_source = group_source_;
  p.group_result = group_result_;
  p.reduction = group_source_;
  if (gathered_) {
    p.gathered = 1;
    p.slots[0] = p.slots[1] = 1;
    p.slots[2] = class_count();
    p.reduction = p.terms = most_taps_ * group_source_;
  }
  p.columns = columns_;
  p.padded_reduction = round_up(p.reduction, kMatrix);
  p.padded_columns = round_up(p.columns, kMatrix);
  p.rows = rows_;
  p.batch_first = is_batch_first();
  p.splits = 1;
  return p;
}

Packing Phases::packing() const {
  auto p = parameters();
  Packing packing{};
  copy(g_.kernel, packing.window);
  std::copy(std::begin(p.fold), std::end(p.fold), packing.fold);
  packing.slots = p.slots[0] * p.slots[1] * p.slots[2];
  packing.taps = gathered_ ? most_taps_ : 1;
  packing.channels = group_source_;
  packing.group_columns = group_result_;
  return packing;
}

WeightStrides Phases::weight_strides() const {
  int group_in = g_.group_in();
  int output = g_.taps() * group_in;
  int group = g_.group_out() * output;
  if (contraction_ == Contraction::Output) {
    return {group_in, 1, output, group};
  }
  return {group_in, output, 1, group};
}

std::vector<AxisClass> Phases::classes() const {
  std::vector<AxisClass> all;
  for (auto& axis : axes_) {
    all.insert(all.end(), axis.classes.begin(), axis.classes.end());
  }
  return all;
}

std::vector<int> Phases::slot_taps() const {
  auto p = packing();
  std::vector<int> taps(int64_t{p.slots} * p.taps, -1);
  auto linear = [&](const Triple& tap) {
    return static_cast<int>(
        (tap[0] * g_.kernel[1] + tap[1]) * g_.kernel[2] + tap[2]);
  };
  int64_t at = 0;
  if (gathered_) {
    for_each_class([&](const Triple& index) {
      int64_t first = at;
      for_each_tap(index, [&](const Triple& tap, const Triple&) {
        taps[at++] = linear(tap);
      });
      at = first + p.taps;
    });
    return taps;
  }
  // Slots are numbered axis by axis, the taps of a class side by side.
  for_each_class([&](const Triple& index) {
    Triple first;
    Triple count;
    for (int a = 0; a < kAxes; ++a) {
      first[a] = axes_[a].classes[index[a]].first_slot;
      count[a] = axes_[a].classes[index[a]].taps;
    }
    int64_t n = 0;
    for_each_tap(index, [&](const Triple& tap, const Triple&) {
      int64_t z = first[0] + n / (count[1] * count[2]);
      int64_t y = first[1] + n / count[2] % count[1];
      int64_t x = first[2] + n % count[2];
      taps[(z * axes_[1].slots() + y) * axes_[2].slots() + x] = linear(tap);
      ++n;
    });
  });
  return taps;
}

std::vector<SourceTerm> Phases::source_terms() const {
  std::vector<SourceTerm> terms;
  if (!gathered_) {
    return terms;
  }
  for_each_class([&](const Triple& index) {
    for_each_tap(index, [&](const Triple&, const Triple& offset) {
      for (int c = 0; c < group_source_; ++c) {
        SourceTerm term{{}, c};
        copy(offset, term.offset);
        terms.push_back(term);
      }
    });
    SourceTerm none{{-(1 << 30), 0, 0}, 0};
    int64_t missing = (most_taps_ - taps_of(index)) * group_source_;
    terms.insert(terms.end(), missing, none);
  });
  return terms;
}

std::vector<int> Phases::masks(int columns) const {
  std::vector<int> masks;
  for_each_tap({0, 0, 0}, [&](const Triple& tap, const Triple&) {
    int mask = 0;
    for (int column = 0; column < columns_; ++column) {
      int64_t fold = column / group_result_;
      Triple folds{
          fold / axes_[2].fold / axes_[1].fold,
          fold / axes_[2].fold % axes_[1].fold,
          fold % axes_[2].fold};
      bool is_reached = true;
      for (int a = 0; a < kAxes; ++a) {
        is_reached = is_reached && tap[a] + folds[a] < g_.kernel[a];
      }
      mask |= is_reached << column;
    }
    // Padding columns join in where that spares the threads a question.
    int all = (1 << columns_) - 1;
    masks.push_back(mask == all ? (1 << columns) - 1 : mask);
  });
  masks.resize(packing().slots); // that of zeros, where there is no tap
  return masks;
}

} // namespace mlx_convt::metal
