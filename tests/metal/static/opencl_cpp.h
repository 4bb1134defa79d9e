// C++ for OpenCL 2021, whose generic address space has the rules of Metal 4.1.
#pragma once
#pragma OPENCL EXTENSION cl_khr_fp16 : enable

#define DEVICE __global
#define CONSTANT __constant
#define THREADGROUP __local
#define THREAD __private
#define KERNEL_FUNCTION __kernel
#define TG_ARRAY(T, name, ...) __local T name __VA_ARGS__

// OpenCL has no bfloat; address spaces do not depend on its conversions.
typedef half bfloat;

#include "metal_library.h"
