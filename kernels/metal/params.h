// The parameters of the GPU kernels: read by the host code that fills them in
// and, as text, by every kernel. Only int, so that both agree on the layout.
// Entries of three are per axis: depth, height, width.
#pragma once

// One set of phases of an axis that read the same source pixels. Position q of
// the result axis lies at pixel q * result_step + origin, or from there on
// where several phases are folded; its j-th tap is kernel index
// first_tap + j * tap_step and reads source pixel
// q * source_step + first_offset + j * offset_step.
struct AxisClass {
  int positions;
  int origin;
  int taps;
  int first_tap;
  int first_offset;
  int first_slot; // of its taps in the packed weights
};

// Output or InputGrad as correlations of the source with packed weights.
struct Correlation {
  int batch;
  int source[3]; // pixels
  int result[3]; // pixels
  int window[3]; // taps of the kernel
  int source_step[3];
  int result_step[3];
  int tap_step[3];
  int offset_step[3];
  int classes[3];
  int fold[3]; // phases of a class, neighbouring pixels
  int slots[3]; // taps of all classes in the packed weights
  int class_start[3]; // of the axis in the table of classes
  int source_channels;
  int result_channels;
  int group_source; // channels
  int group_result; // channels
  int reduction; // rows of a slot's weights that are summed over
  int columns; // fold * group_result
  int padded_reduction; // as packed
  int padded_columns;
  int rows; // batch * positions, of the largest class
  int batch_first; // neighbouring rows are images, not positions
  int whole_planes; // the grid's lines are planes of the result; of lanes
  int gathered; // a slot holds all taps of a class; see SourceTerm
  int terms; // of a class in the table of SourceTerms
  int splits; // of the reduction; more than one: sums go to
              // partial[split][element], without the bias
  int has_bias;
  int vector_source; // the source's channels can be read 16 bytes at once
};

// Where a row of gathered weights finds its source value.
struct SourceTerm {
  int offset[3]; // pixels; the first is out of reach where there is no value
  int channel;
};

// packed[group][slot][row][column] = w[...]: row r of slot s is channel
// r % channels of the tap s * taps + r / channels in the table of taps (none
// where that is negative), column c is channel c % group_columns at fold
// c / group_columns.
struct Packing {
  int window[3];
  int fold[3];
  int slots;
  int taps; // of a slot
  int channels; // summed over, in a group
  int group_columns; // result channels of a group
  int padded_rows;
  int padded_columns;
};

// Distances in w, in elements.
struct WeightStrides {
  int tap;
  int channel; // that is summed over
  int column; // of the result's channels
  int group;
};

// dw[o, k, c] = sum over input pixels i of y[i * stride - padding + k *
// dilation, o] * x[i, c], the pixels cut into splits.
struct Reduction {
  int batch;
  int in[3]; // pixels of x
  int out[3]; // pixels of y
  int window[3];
  int stride[3];
  int padding[3];
  int dilation[3];
  int c_in;
  int c_out;
  int group_in;
  int group_out;
  int pixels; // batch * in
  int split_pixels; // of all splits but the last
  int splits; // more than one: sums go to partial[split][element]
  int elements; // of dw
  int vector_x; // channels can be read 16 bytes at once
  int vector_y;
  int output_first; // neighbouring threads are output channels
};

// result[i] = sum over splits s of partial[s * elements + i], or the bias of
// channel i % channels.
struct Sum {
  int elements;
  int splits;
  int channels; // 0: no bias
};
