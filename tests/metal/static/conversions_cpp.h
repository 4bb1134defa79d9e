// Metal's conversions of bfloat: to float by itself, from float only where it
// is said. One address space, for a class cannot be copied between several.
#pragma once

#define DEVICE
#define CONSTANT
#define THREADGROUP
#define THREAD
#define KERNEL_FUNCTION
#define TG_ARRAY(T, name, ...) static T name __VA_ARGS__
#define ONE_ADDRESS_SPACE

typedef _Float16 half;

struct bfloat {
  bfloat() = default;
  explicit bfloat(float);
  operator float() const;

  unsigned short bits;
};

#include "metal_library.h"
