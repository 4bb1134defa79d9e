// From a kernel with typed buffers to one that takes an array of pointers.
#pragma once

#include <utility>

namespace emulator {

template <typename... Buffers, size_t... Index>
inline void call_with(
    void (*kernel)(Buffers...),
    void** args,
    std::index_sequence<Index...>) {
  kernel(static_cast<Buffers>(args[Index])...);
}

template <typename... Buffers>
inline void call_with(void (*kernel)(Buffers...), void** args) {
  call_with(kernel, args, std::index_sequence_for<Buffers...>());
}

template <typename... Buffers>
constexpr int count_buffers(void (*)(Buffers...)) {
  return sizeof...(Buffers);
}

template <auto Kernel>
void call(void** args) {
  call_with(Kernel, args);
}

template <auto Kernel>
inline constexpr int buffer_count = count_buffers(Kernel);

} // namespace emulator
