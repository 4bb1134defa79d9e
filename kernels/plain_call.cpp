#include "plain_call.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/variant.h>

#include <algorithm>
#include <limits>

#include "primitive.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace mlx_convt {
namespace {

// Whether `value` is an int within its range, put into `number`. Any other is
// left to _arguments.py, which knows the rarer forms and says what is wrong.
bool read_int(nb::handle value, int64_t least, int64_t& number) {
  return PyLong_CheckExact(value.ptr()) && nb::try_cast(value, number, false) &&
      number >= least && number <= std::numeric_limits<int32_t>::max();
}

// The same of an int, or a tuple or list of one int per spatial axis, put into
// the last entries of `numbers`.
bool read_ints(nb::handle value, int rank, int64_t least, Triple& numbers) {
  auto* first = numbers.end() - rank;
  auto read_entries = [&](const auto& entries) {
    bool right = static_cast<int>(entries.size()) == rank;
    for (int i = 0; right && i < rank; ++i) {
      right = read_int(entries[i], least, first[i]);
    }
    return right;
  };
  if (PyTuple_CheckExact(value.ptr())) {
    return read_entries(nb::borrow<nb::tuple>(value));
  }
  if (PyList_CheckExact(value.ptr())) {
    return read_entries(nb::borrow<nb::list>(value));
  }
  if (!read_int(value, least, *first)) {
    return false;
  }
  std::fill(first + 1, numbers.end(), *first);
  return true;
}

bool is_array(nb::handle value) {
  // A bare array.__new__() is an instance without an array.
  return nb::isinstance<mx::array>(value) && nb::inst_ready(value);
}

std::optional<mx::array> plain_call(
    int rank,
    nb::handle input,
    nb::handle weight,
    nb::handle stride,
    nb::handle padding,
    nb::handle dilation,
    nb::handle output_padding,
    nb::handle groups,
    nb::handle bias,
    nb::handle stream) {
  if (rank < 1 || rank > kAxes) {
    return std::nullopt;
  }
  Window window{rank, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, {1, 1, 1}, {0, 0, 0}, 1};
  mx::StreamOrDevice where;
  if (!is_array(input) || !is_array(weight) ||
      !(bias.is_none() || is_array(bias)) ||
      !read_ints(stride, rank, 1, window.stride) ||
      !read_ints(padding, rank, 0, window.padding_lo) ||
      !read_ints(dilation, rank, 1, window.dilation) ||
      !read_ints(output_padding, rank, 0, window.output_padding) ||
      !read_int(groups, 1, window.groups) ||
      !(stream.is_none() || nb::try_cast(stream, where, false))) {
    return std::nullopt;
  }
  window.padding_hi = window.padding_lo;
  std::optional<mx::array> added;
  if (!bias.is_none()) {
    added = *nb::inst_ptr<mx::array>(bias);
  }
  check_window(window);
  return conv_transpose(
      *nb::inst_ptr<mx::array>(input),
      *nb::inst_ptr<mx::array>(weight),
      added,
      window,
      cpu::forced_algorithm(),
      where);
}

} // namespace

void bind_plain_call(nb::module_& m) {
  m.def(
      "plain_call",
      plain_call,
      "rank"_a,
      "input"_a.none(),
      "weight"_a.none(),
      "stride"_a.none(),
      "padding"_a.none(),
      "dilation"_a.none(),
      "output_padding"_a.none(),
      "groups"_a.none(),
      "bias"_a.none(),
      "stream"_a.none(),
      "conv_transpose for arguments of the usual forms; None for any other.");
}

} // namespace mlx_convt
