// Stands in for Apple's IOSurface, which ziglang does not ship: the name that
// metal-cpp uses.
#pragma once

typedef struct __IOSurface* IOSurfaceRef;
