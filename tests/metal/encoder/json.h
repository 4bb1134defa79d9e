// Records as JSON.
#pragma once

#include <string>

#include "record.h"

namespace encoder {

std::string quoted(const std::string& text);

// The members of an object, without its braces.
std::string json_of(const Record& record);
std::string json_of(const mx::array& array);

} // namespace encoder
