#include "weight_grad.h"

#include "correlate.h"

namespace mlx_convt::cpu {
namespace {

// A rectangle of the gradient: taps and output channels of one group (the
// columns of y's panel) against a stretch of its input channels.
struct Rectangle {
  int64_t group;
  const std::vector<Piece>* pieces;
  int64_t y_columns;
  int64_t x_first;
  int64_t x_columns;
};

template <typename S>
class WeightGrad {
  using T = Acc<S>;

 public:
  WeightGrad(
      const Problem& problem,
      const Buffers& buffers,
      const Reduction& reduction)
      : g_(problem.geometry),
        x_(static_cast<const S*>(buffers.first)),
        y_(static_cast<const S*>(buffers.second)),
        result_(static_cast<S*>(buffers.result)),
        reduce_(reduction.of<T>()),
        y_plan_(input_grad_plan(g_)),
        x_plan_(identity_plan(g_)),
        y_phase_(y_plan_.phase(0)),
        x_phase_(x_plan_.phase(0)),
        in_place_(
            std::is_same_v<S, T> && reduction.writes_anywhere &&
            x_phase_.rows() <= kReductionDepth &&
            g_.c_out * g_.taps() * g_.group_in() *
                    static_cast<int64_t>(sizeof(S)) <
                kLargeResult) {
    chunks_ = chunk_columns(
        y_phase_,
        all_taps(y_phase_),
        g_.group_out(),
        g_.groups == 1,
        kPanelColumns);
    int64_t x_columns =
        even_part(g_.group_in(), kPanelColumns, kernels<T>().lanes);
    for (int64_t group = 0; group < g_.groups; ++group) {
      for (auto& pieces : chunks_) {
        int64_t columns = 0;
        for (auto& piece : pieces) {
          columns += piece.columns();
        }
        for (int64_t c = 0; c < g_.group_in(); c += x_columns) {
          rectangles_.push_back(
              {group,
               &pieces,
               columns,
               c,
               std::min(x_columns, g_.group_in() - c)});
        }
      }
    }
  }

  void run() {
    std::vector<int64_t> sizes;
    for (auto& r : rectangles_) {
      sizes.push_back(r.y_columns * r.x_columns);
    }
    double work = static_cast<double>(x_phase_.rows()) * g_.taps() *
        (g_.group_out() + 8.0) * (g_.c_in + 8.0);
    sum_rectangles<T>(
        sizes,
        divide_up(x_phase_.rows(), kReductionDepth),
        work,
        [&](int64_t i, int64_t first, int64_t last, T* sums) {
          auto& r = rectangles_[i];
          accumulate(r, first, last, rows_of(r, sums));
        },
        [&](int64_t i, const T* sums) { write(rectangles_[i], sums); });
  }

 private:
  // The longer side goes along the vectors; the gradient of what is y's has to
  // be turned when it is written.
  bool x_is_wide(const Rectangle& r) const {
    int64_t lanes = kernels<T>().lanes;
    int64_t rows = kernels<T>().tile_rows;
    auto cost = [&](int64_t m, int64_t n) {
      return (divide_up(m, rows) + m) * divide_up(n, lanes) * x_phase_.rows();
    };
    constexpr int64_t kTurn = 3; // in products of vectors
    return cost(r.y_columns, r.x_columns) <=
        cost(r.x_columns, r.y_columns) + kTurn * r.y_columns * r.x_columns;
  }

  bool is_in_place(const Rectangle& r) const {
    return in_place_ && x_is_wide(r);
  }

  std::vector<T*> rows_of(const Rectangle& r, T* sums) const {
    if constexpr (std::is_same_v<S, T>) {
      if (is_in_place(r)) {
        return places_of(r);
      }
    }
    bool wide = x_is_wide(r);
    std::vector<T*> rows(wide ? r.y_columns : r.x_columns);
    for (auto& row : rows) {
      row = sums;
      sums += wide ? r.x_columns : r.y_columns;
    }
    return rows;
  }

  // Where the gradients of y's columns go.
  std::vector<S*> places_of(const Rectangle& r) const {
    std::vector<S*> places;
    for (auto& piece : *r.pieces) {
      for (int64_t t = 0; t < piece.taps; ++t) {
        int64_t kernel = y_phase_.kernel_index(
            g_.kernel, {piece.tap[0], piece.tap[1], piece.tap[2] + t});
        for (int64_t o = 0; o < piece.channels; ++o) {
          int64_t channel = r.group * g_.group_out() + piece.channel + o;
          places.push_back(
              result_ + (channel * g_.taps() + kernel) * g_.group_in() +
              r.x_first);
        }
      }
    }
    return places;
  }

  void accumulate(
      const Rectangle& r,
      int64_t first,
      int64_t last,
      const std::vector<T*>& rows) {
    bool wide = x_is_wide(r);
    bool begins = true;
    Source<S> y{y_, g_.out, g_.batch, g_.c_out, r.group * g_.group_out()};
    Source<S> x{
        x_, g_.in, g_.batch, g_.c_in, r.group * g_.group_in() + r.x_first};
    std::vector<Piece> x_pieces{{{0, 0, 0}, 1, 0, r.x_columns}};
    auto* y_panel = scratch<T>(Slot::PanelA, kReductionDepth * kPitch<T>);
    auto* x_panel = scratch<T>(Slot::PanelB, kReductionDepth * kPitch<T>);
    for (int64_t b = first; b < last; ++b) {
      int64_t row = b * kReductionDepth;
      int64_t depth = std::min(kReductionDepth, x_phase_.rows() - row);
      RowBlock y_rows(y_phase_, row, depth);
      if (!reaches(y_rows.live_taps(), *r.pieces)) {
        continue;
      }
      gather(y_panel, y, y_phase_, y_rows, *r.pieces);
      gather(x_panel, x, x_phase_, RowBlock(x_phase_, row, depth), x_pieces);
      if (wide) {
        reduce_(
            r.y_columns,
            r.x_columns,
            depth,
            y_panel,
            x_panel,
            rows.data(),
            begins);
      } else {
        reduce_(
            r.x_columns,
            r.y_columns,
            depth,
            x_panel,
            y_panel,
            rows.data(),
            begins);
      }
      begins = false;
    }
    if (begins) {
      for (auto* row : rows) {
        std::fill_n(row, wide ? r.x_columns : r.y_columns, T(0));
      }
    }
  }

  static bool reaches(const TapBox& box, const std::vector<Piece>& pieces) {
    for (auto& piece : pieces) {
      if (piece.tap[0] >= box.first[0] && piece.tap[0] < box.last[0] &&
          piece.tap[1] >= box.first[1] && piece.tap[1] < box.last[1] &&
          piece.tap[2] + piece.taps > box.first[2] &&
          piece.tap[2] < box.last[2]) {
        return true;
      }
    }
    return false;
  }

  void write(const Rectangle& r, const T* sums) const {
    if (is_in_place(r)) {
      return;
    }
    bool wide = x_is_wide(r);
    auto* line = scratch<T>(Slot::Init, r.x_columns);
    int64_t column = 0;
    for (auto* place : places_of(r)) {
      const T* values = sums + column * r.x_columns;
      if (!wide) {
        for (int64_t c = 0; c < r.x_columns; ++c) {
          line[c] = sums[c * r.y_columns + column];
        }
        values = line;
      }
      copies<S>().narrow(place, values, r.x_columns);
      ++column;
    }
  }

  const Geometry& g_;
  const S* x_;
  const S* y_;
  S* result_;
  Reduce<T> reduce_;
  Plan y_plan_;
  Plan x_plan_;
  Phase y_phase_;
  Phase x_phase_;
  // One panel makes the whole sum. Rows of a large result lie far apart, and
  // tiles written there took a quarter longer than tiles and a copy.
  bool in_place_;
  std::vector<std::vector<Piece>> chunks_;
  std::vector<Rectangle> rectangles_;
};

} // namespace

void run_weight_grad(
    const Problem& problem,
    const Buffers& buffers,
    const Reduction& reduction) {
  with_storage(problem.scalar, [&]<typename S>(S) {
    WeightGrad<S>(problem, buffers, reduction).run();
  });
}

} // namespace mlx_convt::cpu
