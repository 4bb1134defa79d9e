// Stands in for Apple's CoreFoundation, which ziglang does not ship: the names
// that metal-cpp uses.
#pragma once

#include <TargetConditionals.h>

typedef const void* CFTypeRef;
typedef double CFTimeInterval;
