#include "weight_grad.h"

#include "blas.h"
#include "correlate.h"

namespace mlx_convt::cpu {
namespace {

// Positions per panel.
constexpr int64_t kDepth = 256;
// With fewer units than this, the positions are split too. A fixed number, so
// that the result does not depend on the number of threads.
constexpr int64_t kWantedUnits = 8;

template <typename T>
void reduce_by_tiles(
    int64_t m,
    int64_t n,
    int64_t depth,
    const T* a,
    const T* b,
    T* c,
    int64_t ldc) {
  auto& kernel = kernels<T>();
  std::vector<T*> rows(m);
  for (int64_t i = 0; i < m; ++i) {
    rows[i] = c + i * ldc;
  }
  for (int64_t j = 0; j < n; j += 2 * kernel.lanes) {
    int columns = static_cast<int>(std::min<int64_t>(2 * kernel.lanes, n - j));
    for (int64_t i = 0; i < m; i += kernel.tile_rows) {
      int tile = static_cast<int>(std::min<int64_t>(kernel.tile_rows, m - i));
      kernel.tile_transposed(
          tile, columns, a + i, depth, b + j, {rows.data() + i, j, nullptr});
    }
  }
}

template <typename T>
void reduce_by_blas(
    int64_t m,
    int64_t n,
    int64_t depth,
    const T* a,
    const T* b,
    T* c,
    int64_t ldc) {
  blas_gemm(
      {true,
       static_cast<int>(m),
       static_cast<int>(n),
       static_cast<int>(depth),
       a,
       static_cast<int>(kPitch<T>),
       b,
       static_cast<int>(kPitch<T>),
       T(1),
       c,
       static_cast<int>(ldc)});
}

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
  WeightGrad(const Problem& problem, const Buffers& buffers, Reduce<T> reduce)
      : g_(problem.geometry),
        x_(static_cast<const S*>(buffers.first)),
        y_(static_cast<const S*>(buffers.second)),
        result_(static_cast<S*>(buffers.result)),
        reduce_(reduce),
        y_plan_(input_grad_plan(g_)),
        x_plan_(identity_plan(g_)),
        y_phase_(y_plan_.phase(0)),
        x_phase_(x_plan_.phase(0)) {
    chunks_ = chunk_columns(
        y_phase_,
        all_taps(y_phase_),
        g_.group_out(),
        g_.groups == 1,
        kPanelColumns);
    for (int64_t group = 0; group < g_.groups; ++group) {
      for (auto& pieces : chunks_) {
        int64_t columns = 0;
        for (auto& piece : pieces) {
          columns += piece.columns();
        }
        for (int64_t c = 0; c < g_.group_in(); c += kPanelColumns) {
          rectangles_.push_back(
              {group,
               &pieces,
               columns,
               c,
               std::min(kPanelColumns, g_.group_in() - c)});
        }
      }
    }
  }

  void run() {
    auto count = static_cast<int64_t>(rectangles_.size());
    int64_t blocks = divide_up(x_phase_.rows(), kDepth);
    int64_t splits = std::clamp<int64_t>(
        divide_up(kWantedUnits, std::max<int64_t>(count, 1)),
        1,
        std::max<int64_t>(blocks, 1));
    double work = static_cast<double>(x_phase_.rows()) * g_.taps() *
        (g_.group_out() + 8.0) * (g_.c_in + 8.0);
    if (splits == 1) {
      parallel_for(count, work, [&](int64_t i) {
        auto& r = rectangles_[i];
        auto* sums = scratch<T>(Slot::Sums, r.y_columns * r.x_columns);
        accumulate(r, 0, blocks, sums);
        write(r, sums);
      });
      return;
    }
    // One set of sums per split, added up in order.
    int64_t size = kPanelColumns * kPanelColumns;
    auto sums = make_aligned<T>(count * splits * size);
    parallel_for(count * splits, work, [&](int64_t i) {
      int64_t split = i % splits;
      accumulate(
          rectangles_[i / splits],
          blocks * split / splits,
          blocks * (split + 1) / splits,
          sums.get() + i * size);
    });
    for (int64_t i = 0; i < count; ++i) {
      auto& r = rectangles_[i];
      auto* total = sums.get() + i * splits * size;
      for (int64_t split = 1; split < splits; ++split) {
        for (int64_t j = 0; j < r.y_columns * r.x_columns; ++j) {
          total[j] += total[split * size + j];
        }
      }
      write(r, total);
    }
  }

 private:
  // The longer side goes along the vectors.
  static bool x_is_wide(const Rectangle& r) {
    int64_t lanes = kernels<T>().lanes;
    int64_t rows = kernels<T>().tile_rows;
    auto cost = [&](int64_t m, int64_t n) {
      return (divide_up(m, rows) + m) * divide_up(n, lanes);
    };
    return cost(r.y_columns, r.x_columns) <= cost(r.x_columns, r.y_columns);
  }

  void accumulate(const Rectangle& r, int64_t first, int64_t last, T* sums) {
    std::fill_n(sums, r.y_columns * r.x_columns, T(0));
    Source<S> y{y_, g_.out, g_.batch, g_.c_out, r.group * g_.group_out()};
    Source<S> x{
        x_, g_.in, g_.batch, g_.c_in, r.group * g_.group_in() + r.x_first};
    std::vector<Piece> x_pieces{{{0, 0, 0}, 1, 0, r.x_columns}};
    auto* y_panel = scratch<T>(Slot::PanelA, kDepth * kPitch<T>);
    auto* x_panel = scratch<T>(Slot::PanelB, kDepth * kPitch<T>);
    for (int64_t b = first; b < last; ++b) {
      int64_t row = b * kDepth;
      int64_t depth = std::min(kDepth, x_phase_.rows() - row);
      RowBlock y_rows(y_phase_, row, depth);
      if (!reaches(y_rows.live_taps(), *r.pieces)) {
        continue;
      }
      gather(y_panel, y, y_phase_, y_rows, *r.pieces);
      gather(x_panel, x, x_phase_, RowBlock(x_phase_, row, depth), x_pieces);
      if (x_is_wide(r)) {
        reduce_(
            r.y_columns,
            r.x_columns,
            depth,
            y_panel,
            x_panel,
            sums,
            r.x_columns);
      } else {
        reduce_(
            r.x_columns,
            r.y_columns,
            depth,
            x_panel,
            y_panel,
            sums,
            r.y_columns);
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

  void write(const Rectangle& r, const T* sums) {
    bool x_is_rows = !x_is_wide(r);
    auto* line = scratch<T>(Slot::Init, r.x_columns);
    int64_t column = 0;
    for (auto& piece : *r.pieces) {
      for (int64_t t = 0; t < piece.taps; ++t) {
        int64_t kernel = y_phase_.kernel_index(
            g_.kernel, {piece.tap[0], piece.tap[1], piece.tap[2] + t});
        for (int64_t o = 0; o < piece.channels; ++o, ++column) {
          const T* values = sums + column * r.x_columns;
          if (x_is_rows) {
            for (int64_t c = 0; c < r.x_columns; ++c) {
              line[c] = sums[c * r.y_columns + column];
            }
            values = line;
          }
          int64_t channel = r.group * g_.group_out() + piece.channel + o;
          copies<S>().narrow(
              result_ + (channel * g_.taps() + kernel) * g_.group_in() +
                  r.x_first,
              values,
              r.x_columns);
        }
      }
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
  std::vector<std::vector<Piece>> chunks_;
  std::vector<Rectangle> rectangles_;
};

} // namespace

Reduction tile_reduction() {
  return {reduce_by_tiles<float>, reduce_by_tiles<double>};
}

Reduction blas_reduction() {
  return {reduce_by_blas<float>, reduce_by_blas<double>};
}

void run_weight_grad(
    const Problem& problem,
    const Buffers& buffers,
    const Reduction& reduction) {
  with_storage(problem.scalar, [&]<typename S>(S) {
    if constexpr (std::is_same_v<Acc<S>, double>) {
      WeightGrad<S>(problem, buffers, reduction.f64).run();
    } else {
      WeightGrad<S>(problem, buffers, reduction.f32).run();
    }
  });
}

} // namespace mlx_convt::cpu
