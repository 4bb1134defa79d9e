// Calls whose arguments have the ordinary forms, read without Python's help.
#pragma once

#include <nanobind/nanobind.h>

namespace mlx_convt {

void bind_plain_call(nanobind::module_& m);

} // namespace mlx_convt
