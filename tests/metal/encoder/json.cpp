#include "json.h"

#include <cstring>

namespace encoder {
namespace {

template <typename Values, typename Write>
std::string list(const Values& values, Write&& write) {
  std::string text = "[";
  for (auto& value : values) {
    text += (text.size() > 1 ? "," : "") + write(value);
  }
  return text + "]";
}

std::string numbers(const uint64_t (&values)[3]) {
  return list(values, [](uint64_t value) { return std::to_string(value); });
}

std::string memory(const void* begin, size_t size) {
  return "\"memory\":" +
      std::to_string(reinterpret_cast<std::uintptr_t>(begin)) +
      ",\"size\":" + std::to_string(size);
}

std::string json_of(const std::pair<const int, Binding>& bound) {
  auto& [index, binding] = bound;
  auto text = "{\"index\":" + std::to_string(index);
  if (binding.memory) {
    return text + "," + memory(binding.memory, binding.size) +
        ",\"is_written\":" + (binding.is_written ? "true" : "false") + "}";
  }
  std::vector<int> ints(binding.size / sizeof(int));
  std::memcpy(ints.data(), binding.bytes.data(), ints.size() * sizeof(int));
  return text + ",\"ints\":" +
      list(ints, [](int value) { return std::to_string(value); }) + "}";
}

std::string json_of(const Dispatch& dispatch) {
  return "{\"kernel\":" + quoted(dispatch.kernel) +
      ",\"grid\":" + numbers(dispatch.grid) +
      ",\"threads\":" + numbers(dispatch.threads) + ",\"bindings\":" +
      list(dispatch.bindings, [](auto& bound) { return json_of(bound); }) + "}";
}

} // namespace

std::string quoted(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
    }
    quoted += c == '\n' ? "\\n" : std::string(1, c);
  }
  return quoted + "\"";
}

std::string json_of(const mx::array& array) {
  return "{" + memory(array.data<void>(), array.nbytes()) + "}";
}

std::string json_of(const Record& record) {
  return "\"events\":" + list(record.events, quoted) +
      ",\"misuses\":" + list(record.misuses, quoted) + ",\"dispatches\":" +
      list(record.dispatches, [](auto& one) { return json_of(one); }) +
      ",\"temporaries\":" +
      list(record.temporaries, [](auto& one) { return json_of(one); });
}

} // namespace encoder
