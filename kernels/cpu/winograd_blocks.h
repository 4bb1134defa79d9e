// How winograd.cpp cuts its work, and what a unit's cells read and write.
#pragma once

#include "correlate.h"
#include "winograd_plan.h"

namespace mlx_convt::cpu {

// Phases that share their panels, and how their work is cut into units.
struct WinogradSet {
  std::vector<int64_t> phases;
  bool packs_once; // else the weights are packed as they are met
  int64_t rows;
  int64_t columns;
  int64_t depth; // panel columns at once
  int64_t strip; // columns that are multiplied and finished at once
};

struct WinogradSizes {
  int64_t groups;
  int64_t channels; // of the reduction
  int64_t columns; // of a phase
  bool columns_are_neighbours; // in the weights
  int lanes;
  int tile_rows;
  int threads;
};

std::vector<WinogradSet> winograd_sets(
    const WinogradPlan& plan,
    const WinogradSizes& sizes);

// The phase of a unit is a set's index here.
std::vector<Unit> winograd_units(
    const WinogradPlan& plan,
    const WinogradSizes& sizes,
    const std::vector<WinogradSet>& sets);

struct Cell {
  int64_t image;
  Triple at;
};

std::vector<Cell>
cells_of(const WinogradPhase& phase, int64_t first, int64_t count);

// The pixels that a slab's points of a cell are made of, as indices of
// (image, pixel) in the source, or -1 where there is none: one per axis, or
// three where the axis is joined; the middle one of three is none for a lone
// tap, so that the differences are d0 and -d1.
void cell_pixels(
    const WinogradPhase& phase,
    const Triple& pair,
    const Cell& cell,
    int64_t* pixels);

// A position of a cell, and its columns that fall on pixels of the result.
struct Target {
  int64_t row; // of the unit
  int place; // which position of the cell
  int64_t pixel; // the first one's index, images included
  int64_t first;
  int64_t last;
};

std::vector<Target> targets_of(
    const WinogradPhase& phase,
    const std::vector<Cell>& cells,
    int64_t columns, // of the phase
    int64_t channels); // of a group of the result

// What is made of some points, and with which signs.
struct Terms {
  int count;
  int points[8];
  int signs[8];
};

// On a joined axis, the first of two is the sum of points 0 and `apart`, the
// second that of point 1 and the negative of point 1 + `apart`.
Terms terms_at(
    const WinogradPhase& phase,
    const Triple& which,
    const Triple& apart);

// Of each position of a cell.
std::vector<Terms> terms_of(const WinogradPhase& phase);

} // namespace mlx_convt::cpu
