// That the stand-ins for Metal's functions compute the right values.
#pragma once

// The number of failed checks, each printed.
int value_failures();
