// Runs what has been encoded in the emulator of the GPU.
#pragma once

#include <string>

#include "record.h"

namespace encoder {

// Writes to the result's memory; the errors found, one a line.
std::string execute(
    const Record& record,
    const std::vector<mx::array>& operands,
    mx::array& result);

} // namespace encoder
