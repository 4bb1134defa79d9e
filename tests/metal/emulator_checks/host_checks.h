// What depends on how a kernel is launched, and on its buffers.
#pragma once

// The number of failed checks, each printed.
int host_failures();
