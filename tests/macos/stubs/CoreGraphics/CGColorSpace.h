// Stands in for Apple's CoreGraphics, which ziglang does not ship: the name
// that metal-cpp uses.
#pragma once

typedef struct CGColorSpace* CGColorSpaceRef;
