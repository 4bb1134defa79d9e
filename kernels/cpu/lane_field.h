// The array that lanewise kernels read: in place, or as lines in cache.
#pragma once

#include <algorithm>
#include <numeric>

#include "isa/kernels.h"
#include "plan.h"
#include "scratch.h"

namespace mlx_convt::cpu {

// How the channels of the result fill vectors. A result channel sums over
// `planes` source channels, those of its group: plane i holds, for each result
// channel, the group's i-th one.
struct Lanes {
  Lanes(int64_t channels, int64_t group, int64_t planes, int64_t lanes)
      : channels(channels),
        group(group),
        planes(planes),
        repeat(channels < lanes ? lanes / std::gcd(channels, lanes) : 1) {}

  int64_t channels;
  int64_t group; // result channels per group
  int64_t planes;
  // Pixels side by side in whole vectors, where the channels of one are fewer
  // than lanes.
  int64_t repeat;

  bool spans_pixels() const {
    return repeat > 1;
  }
  int64_t period() const {
    return repeat * channels;
  }
  bool is_identity() const {
    return group == 1 && planes == 1;
  }
};

// A stretch of result channels, of whole groups and at least a vector.
struct Slice {
  int64_t first;
  int64_t count;
};

// The part of the source that a block of work reads.
struct Window3 {
  int64_t image;
  Slice slice;
  int64_t z_rows; // as slots: of a tap each
  int64_t y_first;
  int64_t y_rows;
  // Pixels of a line; where lanes span pixels, of each residue of the step.
  int64_t x_first;
  int64_t x_count;
};

template <typename S>
class LaneField {
  using T = Acc<S>;

 public:
  // `residues` of the pixels modulo `step` that are read; one where channels
  // fill vectors by themselves.
  LaneField(
      const S* data,
      const Triple& extent,
      int64_t images,
      const Lanes& lanes,
      int64_t step,
      std::vector<int64_t> residues,
      Slot slot)
      : data_(data),
        extent_(extent),
        channels_(lanes.channels / lanes.group * lanes.planes),
        end_(data + images * extent[0] * extent[1] * extent[2] * channels_),
        lanes_(lanes),
        step_(step),
        residues_(std::move(residues)),
        slot_(slot),
        in_place_(
            std::is_same_v<S, T> && lanes.is_identity() &&
            !lanes.spans_pixels()) {}

  void start(const Window3& window) {
    w_ = window;
    if (in_place_) {
      w_.x_first = 0;
      pixel_ = channels_;
      return;
    }
    pixel_ = window.slice.count;
    plane_ = w_.x_count * pixel_;
    line_ = static_cast<int64_t>(residues_.size()) * lanes_.planes * plane_;
    int64_t lines = w_.z_rows * w_.y_rows;
    tile_ = scratch<T>(slot_, lines * line_);
    ready_.assign(lines, false);
    int64_t first = w_.slice.first / lanes_.group * lanes_.planes;
    first_channel_ = first;
    index_.clear();
    for (int64_t i = 0; i < lanes_.planes; ++i) {
      for (int64_t c = 0; c < w_.slice.count; ++c) {
        index_.push_back(
            static_cast<int32_t>(c / lanes_.group * lanes_.planes + i));
      }
    }
  }

  // Distance of neighbouring positions' pixels.
  int64_t pixel_step() const {
    return pixel_;
  }

  // A line; `z_slot` is where the line is kept.
  const T* line(int64_t z_slot, int64_t z, int64_t y) {
    const S* from = data_ +
        ((w_.image * extent_[0] + z) * extent_[1] + y) * extent_[2] * channels_;
    if constexpr (std::is_same_v<S, T>) {
      if (in_place_) {
        return from + w_.slice.first;
      }
    }
    int64_t slot = z_slot * w_.y_rows + y - w_.y_first;
    T* to = tile_ + slot * line_;
    if (!ready_[slot]) {
      ready_[slot] = true;
      for (size_t r = 0; r < residues_.size(); ++r) {
        fill(to + r * lanes_.planes * plane_, from, residues_[r]);
      }
    }
    return to;
  }

  // Offsets of a value in a line are sums of these: of its plane, its residue
  // and its pixel, or where lanes span pixels, of x in x * step + residue.
  int64_t plane_offset(int64_t plane) const {
    return plane * plane_;
  }
  int64_t residue_offset(int64_t index) const {
    return index * lanes_.planes * plane_;
  }
  int64_t x_offset(int64_t x) const {
    return (x - w_.x_first) * pixel_;
  }

 private:
  void fill(T* to, const S* from, int64_t residue) {
    int64_t step = lanes_.spans_pixels() ? step_ : 1;
    // Pixels x * step + residue that exist.
    int64_t last = w_.x_first + w_.x_count;
    int64_t lo = std::clamp(divide_up(-residue, step), w_.x_first, last);
    int64_t hi = std::clamp(divide_up(extent_[2] - residue, step), lo, last);
    for (int64_t i = 0; i < lanes_.planes; ++i) {
      std::fill_n(to + i * plane_, (lo - w_.x_first) * pixel_, T(0));
      std::fill_n(
          to + i * plane_ + (hi - w_.x_first) * pixel_,
          (last - hi) * pixel_,
          T(0));
    }
    if (hi == lo) {
      return;
    }
    to += (lo - w_.x_first) * pixel_;
    from += (lo * step + residue) * channels_ + first_channel_;
    int64_t count = (hi - lo - 1) * step + 1;
    int64_t width = w_.slice.count / lanes_.group * lanes_.planes;
    if constexpr (std::is_same_v<S, T>) {
      take(to, from, end_, hi - lo, step * channels_);
    } else if (lanes_.is_identity() && step == 1) {
      widen(to, from, count, width);
    } else {
      int64_t slack = kernels<T>().lanes;
      auto* wide = scratch<T>(Slot::Init, count * width + slack);
      widen(wide, from, count, width);
      take(to, wide, wide + count * width + slack, hi - lo, step * width);
    }
  }

  void widen(T* to, const S* from, int64_t count, int64_t width) {
    if (width == channels_) {
      return copies<S>().widen(to, from, count * width);
    }
    for (int64_t x = 0; x < count; ++x) {
      copies<S>().widen(to + x * width, from + x * channels_, width);
    }
  }

  void take(T* to, const T* from, const T* end, int64_t count, int64_t step)
      const {
    for (int64_t i = 0; i < lanes_.planes; ++i) {
      kernels<T>().take(
          to + i * plane_,
          from,
          end,
          count,
          step,
          pixel_,
          index_.data() + i * pixel_);
    }
  }

  const S* data_;
  Triple extent_;
  int64_t channels_;
  const S* end_;
  Lanes lanes_;
  int64_t step_;
  std::vector<int64_t> residues_;
  Slot slot_;
  bool in_place_;
  Window3 w_{};
  T* tile_{};
  int64_t pixel_{};
  int64_t plane_{};
  int64_t line_{};
  int64_t first_channel_{};
  std::vector<bool> ready_;
  std::vector<int32_t> index_;
};

} // namespace mlx_convt::cpu
