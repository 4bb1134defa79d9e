// Moves between storage and sums: every 16-bit pattern widened, every boundary
// narrowed, rows gathered to the end of the source, and rows transposed.
#include <cstring>
#include <vector>

#include "check.h"
#include "kernel_case.h"

namespace {

using namespace test;
using mlx_convt::Dims;

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

bool same(double a, double b) {
  return a == b && std::signbit(a) == std::signbit(b);
}

template <typename S>
void check_widen(const Copies<S>& copy) {
  std::vector<S> patterns(65536);
  for (int i = 0; i < 65536; ++i) {
    patterns[i].bits = static_cast<uint16_t>(i);
  }
  std::vector<float> wide(patterns.size());
  copy.widen(wide.data(), patterns.data(), 65536);
  int wrong = 0;
  for (int i = 0; i < 65536; ++i) {
    double expected = decode(patterns[i]);
    wrong +=
        std::isnan(expected) ? !std::isnan(wide[i]) : !same(wide[i], expected);
  }
  CHECK_EQUAL(wrong, 0);
}

// Every value, every midpoint of neighbours, and the floats on either side.
template <typename S>
std::vector<float> boundaries() {
  std::vector<float> values;
  auto add = [&](double value) {
    auto middle = static_cast<float>(value);
    for (float v :
         {middle,
          std::nextafter(middle, 0.0f),
          std::nextafter(middle, std::numeric_limits<float>::infinity())}) {
      values.push_back(v);
      values.push_back(-v);
    }
  };
  // The step below infinity is as wide as the one before.
  for (uint16_t bits = 0; bits < Format<S>::kInfinity; ++bits) {
    double value = decode(S{bits});
    double step = bits ? value - decode(S{uint16_t(bits - 1)}) : 0;
    add(value);
    add(value - step / 2);
    if (bits + 1 == Format<S>::kInfinity) {
      add(value + step / 2);
    }
  }
  for (float v : {1e-45f, 1e-30f, 65519.9f, 65536.0f, 1e30f, 3.4028235e38f}) {
    add(v);
  }
  return values;
}

template <typename S>
void check_narrow(const Copies<S>& copy) {
  auto values = boundaries<S>();
  std::vector<S> narrow(values.size());
  copy.narrow(
      narrow.data(), values.data(), static_cast<int64_t>(values.size()));
  int wrong = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    wrong += narrow[i].bits != encode<S>(values[i]).bits;
  }
  CHECK_EQUAL(wrong, 0);
}

template <typename S>
void check_nan(const Copies<S>& copy) {
  for (uint32_t bits : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0x7fa00000u}) {
    for (uint32_t sign : {0u, 0x80000000u}) {
      float nan = from_bits(bits | sign);
      S narrow;
      copy.narrow(&narrow, &nan, 1);
      CHECK(std::isnan(decode(narrow)));
    }
  }
}

// Any length, to the last value of exactly sized buffers and no further.
template <typename S>
void check_lengths(const Copies<S>& copy) {
  for (int64_t count = 0; count < 70; ++count) {
    std::vector<Acc<S>> wide(count), back(count);
    std::vector<S> narrow(count);
    for (int64_t i = 0; i < count; ++i) {
      wide[i] = static_cast<Acc<S>>(i - 30);
    }
    copy.narrow(narrow.data(), wide.data(), count);
    copy.widen(back.data(), narrow.data(), count);
    CHECK_EQUAL(back, wide);
  }
}

// Rows that start `slack` values before they would leave the source.
template <typename S>
void check_gather(const Copies<S>& copy, int lanes) {
  using T = Acc<S>;
  Random random(3);
  std::vector<int64_t> lengths = {4 * lanes, 4 * lanes + 1, 100, kPanelColumns};
  for (int length = 1; length <= 2 * lanes + 1; ++length) {
    lengths.push_back(length);
  }
  for (int64_t length : lengths) {
    for (int64_t rows : {1, 2, 7}) {
      for (int64_t step : {int64_t(1), length, length + 3}) {
        for (int64_t slack = 0; slack <= lanes; ++slack) {
          int64_t size = (rows - 1) * step + length + slack;
          std::vector<S> source(size);
          for (auto& value : source) {
            value = encode<S>(static_cast<double>(random(-100, 100)));
          }
          // The last columns, where the slack behind them is shortest.
          int64_t first = kPanelColumns - length;
          std::vector<T> to(rows * kPitch<T>, kNaN<T>);
          copy.gather(
              to.data() + first,
              source.data(),
              source.data() + size,
              rows,
              step,
              length);
          int wrong = 0;
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t c = 0; c < length; ++c) {
              wrong +=
                  to[r * kPitch<T> + first + c] != decode(source[r * step + c]);
            }
            for (int64_t c = 0; c < first; ++c) {
              wrong += !std::isnan(to[r * kPitch<T> + c]);
            }
          }
          Note note(
              "length, rows, step, slack = " +
              show(Dims{length, rows, step, slack}));
          CHECK_EQUAL(wrong, 0);
        }
      }
    }
  }
}

// Rows of their own, so that a sanitizer sees what is read beside them. Behind
// what may be written, and between wide lines, nothing changes.
template <typename S>
void check_transpose(const Copies<S>& copy, int lanes) {
  using T = Acc<S>;
  Random random(4);
  for (int64_t count = 1; count <= 3 * lanes; ++count) {
    int64_t rounded = round_up(count, lanes);
    for (int64_t length = 1; length <= 3 * lanes + 5; ++length) {
      std::vector<std::vector<S>> rows(count, std::vector<S>(length));
      std::vector<const S*> pointers;
      for (auto& row : rows) {
        for (auto& value : row) {
          value = encode<S>(static_cast<double>(random(1, 100)));
        }
        pointers.push_back(row.data());
      }
      for (int64_t step :
           {count, (count + rounded) / 2, rounded, rounded + 3}) {
        int64_t end = (length - 1) * step + rounded;
        std::vector<T> to(end + lanes, T(-1));
        // Only a hint: no such rows exist.
        copy.transpose(
            to.data(), step, pointers.data(), count, length, 1 << 20);
        int wrong = 0;
        for (int64_t k = 0; k < length; ++k) {
          bool zeros_stay = step >= rounded || k == length - 1;
          for (int64_t i = 0; i < (zeros_stay ? rounded : count); ++i) {
            wrong += to[k * step + i] != (i < count ? decode(rows[i][k]) : 0);
          }
          for (int64_t i = rounded; i < step && k < length - 1; ++i) {
            wrong += to[k * step + i] != -1;
          }
        }
        for (int64_t i = end; i < end + lanes; ++i) {
          wrong += to[i] != -1;
        }
        Note note("count, length, step = " + show(Dims{count, length, step}));
        CHECK_EQUAL(wrong, 0);
      }
    }
  }
}

TEST(sixteen_bit_formats_are_widened_and_rounded_exactly) {
  // Known patterns, lest both sides share a mistake.
  CHECK_EQUAL(encode<Half>(1.0).bits, 0x3c00);
  CHECK_EQUAL(encode<Half>(65504.0).bits, 0x7bff);
  CHECK_EQUAL(encode<Half>(65520.0).bits, 0x7c00);
  CHECK_EQUAL(encode<Half>(0x1p-24).bits, 0x0001);
  CHECK_EQUAL(encode<Half>(0x1p-25).bits, 0x0000);
  CHECK_EQUAL(encode<Half>(-0.0).bits, 0x8000);
  CHECK_EQUAL(encode<BFloat>(-2.0).bits, 0xc000);
  CHECK_EQUAL(encode<BFloat>(1 + 0x1p-8).bits, 0x3f80);
  CHECK_EQUAL(encode<BFloat>(1 + 0x3p-8).bits, 0x3f82);
  for (auto* set : supported_sets()) {
    Note note(set->name);
    check_widen(set->copy_f16);
    check_widen(set->copy_bf16);
    check_narrow(set->copy_f16);
    check_narrow(set->copy_bf16);
    check_nan(set->copy_f16);
    check_nan(set->copy_bf16);
  }
}

TEST(conversions_stay_in_their_buffers) {
  for (auto* set : supported_sets()) {
    Note note(set->name);
    check_lengths(set->copy_f32);
    check_lengths(set->copy_f16);
    check_lengths(set->copy_bf16);
    check_lengths(set->copy_f64);
  }
}

TEST(gathered_rows_stay_in_the_source_and_the_panel) {
  for (auto* set : supported_sets()) {
    Note note(set->name);
    check_gather(set->copy_f32, set->f32.lanes);
    check_gather(set->copy_f16, set->f32.lanes);
    check_gather(set->copy_bf16, set->f32.lanes);
    check_gather(set->copy_f64, set->f64.lanes);
  }
}

TEST(transposed_rows_stay_in_the_matrix) {
  for (auto* set : supported_sets()) {
    Note note(set->name);
    check_transpose(set->copy_f32, set->f32.lanes);
    check_transpose(set->copy_f16, set->f32.lanes);
    check_transpose(set->copy_bf16, set->f32.lanes);
    check_transpose(set->copy_f64, set->f64.lanes);
  }
}

} // namespace
