// Output and InputGrad by a CBLAS.
#pragma once

#include <limits>

#include "blas.h"
#include "product.h"

namespace mlx_convt::cpu {

// A CBLAS over weights packed into plain row-major matrices. It refuses rows
// that are not evenly spaced, so the caller gives it rows of its own.
template <typename S>
class BlasMethod {
  using T = Acc<S>;

 public:
  static constexpr bool kWritesAnywhere = false;
  // It may sum a column in another order where it has other neighbours: units
  // as for a fixed number of threads.
  static constexpr bool kSumsColumnsAlone = false;
  static constexpr int64_t kBlockRows = 112;

  BlasMethod(const WeightMatrices<S>& weights, const Plan& plan)
      : weights_(weights),
        packed_(
            weights,
            plan,
            std::numeric_limits<int64_t>::max(),
            kernels<T>().lanes,
            [&](T* to, const Phase& phase, int64_t group, int64_t) {
              weights.pack_columns(
                  to,
                  phase,
                  weights.whole_phase(phase),
                  group,
                  0,
                  weights.columns(phase),
                  width(phase));
            }) {}

  int64_t column_step() const {
    return 32;
  }

  int64_t block_rows() const {
    return kBlockRows;
  }

  void multiply(const Product<T>& p) const {
    int ldc = p.rows > 1
        ? static_cast<int>(p.row_pointers[1] - p.row_pointers[0])
        : static_cast<int>(p.columns);
    if (p.init) {
      for (int64_t i = 0; i < p.rows; ++i) {
        std::copy_n(p.init, p.columns, p.row_pointers[i]);
      }
    }
    auto* b = packed_.data(p.phase_index, p.group) + p.column;
    const T* a = p.panel;
    auto stretches = packed_stretches(
        p.phase, p.pieces, weights_.channels(), width(p.phase));
    for (auto& stretch : stretches) {
      blas_gemm(
          {false,
           static_cast<int>(p.rows),
           static_cast<int>(p.columns),
           static_cast<int>(stretch.length),
           a,
           static_cast<int>(kPitch<T>),
           b + stretch.b,
           static_cast<int>(width(p.phase)),
           T(1),
           p.row_pointers[0],
           ldc});
      a += stretch.length;
    }
  }

 private:
  int64_t width(const Phase& phase) const {
    int64_t lanes = kernels<T>().lanes;
    return (weights_.columns(phase) + lanes - 1) / lanes * lanes;
  }

  const WeightMatrices<S>& weights_;
  PackedWeights<S> packed_;
};

} // namespace mlx_convt::cpu
