// Stands in for Apple's CoreGraphics, which ziglang does not ship: the type
// that metal-cpp uses.
#pragma once

typedef double CGFloat;

struct CGSize {
  CGFloat width;
  CGFloat height;
};
