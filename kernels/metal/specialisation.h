// The functions that the kernel texts are compiled into: a closed list, so that
// the tests can run every one.
#pragma once

#include "params.h"
#include "plan.h"

namespace mlx_convt::metal {

// Results of a threadgroup, and the SIMD-groups that share them.
struct Tile {
  int rows;
  int columns;
  int sg_rows; // SIMD-groups above each other
  int sg_columns;

  int64_t threads() const {
    return 32 * sg_rows * sg_columns;
  }
};

// Large, wide, tall, and one SIMD-group alone.
inline constexpr Tile kCorrelateTiles[] = {
    {64, 64, 2, 2},
    {32, 64, 1, 2},
    {64, 32, 2, 1},
    {32, 32, 1, 1}};
inline constexpr Tile kWeightGradTiles[] = {{64, 64, 2, 2}, {32, 32, 1, 1}};
// few_columns has the least of these that suffices, few_rows likewise.
inline constexpr int kFewColumns[] = {1, 4, 12};
inline constexpr int kFewRows[] = {1, 8};
inline constexpr int kFewColumnsRows = 4; // positions of a thread
// Channels of a tap that one look at the edges is for.
inline constexpr int kFewColumnsChannels = 64;
inline constexpr int kFewRowsChannels = 256;
inline constexpr int kFewColumnsThreads = 64;
inline constexpr int kThreads = 256; // of all other kernels

// Of the reduction that correlate multiplies at once.
int64_t correlate_depth(Element element);

Specialisation pack_weights_kernel(Element element);
Specialisation correlate_kernel(Element element, const Tile& tile);
Specialisation few_columns_kernel(Element element, int columns);
Specialisation few_rows_kernel(Element element, int rows, bool along_reduction);
Specialisation lanes_kernel(Element element);
Specialisation weight_grad_kernel(Element element, const Tile& tile);
Specialisation weight_grad_direct_kernel(Element element, bool along_pixels);
Specialisation sum_splits_kernel(Element element);

// The launch of sum_splits; slots are partial sums, bias and result.
void add_sum(
    LaunchPlan& plan,
    Element element,
    std::vector<Slot> slots,
    const Sum& sum);

std::vector<Specialisation> all_specialisations();

// The text of a kernel after the prelude: its defines, the parameters and the
// files that it is made of.
std::string text_of(const Specialisation& specialisation);

// The same with the prelude of real Metal.
std::string metal_text_of(const Specialisation& specialisation);

} // namespace mlx_convt::metal
