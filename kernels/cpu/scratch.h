// Working memory of one thread, kept from call to call.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "huge_pages.h"

namespace mlx_convt::cpu {

inline constexpr std::size_t kAlignment = 64;

struct AlignedDelete {
  void operator()(void* p) const {
    ::operator delete(p, std::align_val_t(kAlignment));
  }
};

template <typename T>
using AlignedArray = std::unique_ptr<T[], AlignedDelete>;

// Packed weights or scratch that the system has no memory for.
struct NoMemory : std::bad_alloc {
  explicit NoMemory(std::size_t bytes) : bytes(bytes) {}
  std::size_t bytes;
};

// Uninitialised; T is a plain number.
template <typename T>
AlignedArray<T> make_aligned(std::size_t count) {
  std::size_t bytes = count * sizeof(T);
  void* data =
      ::operator new(bytes, std::align_val_t(kAlignment), std::nothrow);
  if (!data) {
    throw NoMemory(bytes);
  }
  advise_huge_pages(data, bytes);
  return AlignedArray<T>(static_cast<T*>(data));
}

enum class Slot { PanelA, PanelB, Sums, Init, Line, Count };

// The thread's buffer of this slot, at least `count` values; what the last
// user left is still in it.
template <typename T>
T* scratch(Slot slot, std::size_t count) {
  struct Buffer {
    AlignedArray<std::byte> data;
    std::size_t size{0};
  };
  thread_local Buffer buffers[static_cast<int>(Slot::Count)];
  auto& buffer = buffers[static_cast<int>(slot)];
  std::size_t bytes = count * sizeof(T);
  if (buffer.size < bytes) {
    buffer.size = 0;
    buffer.data.reset();
    buffer.data = make_aligned<std::byte>(bytes);
    buffer.size = bytes;
  }
  return reinterpret_cast<T*>(buffer.data.get());
}

} // namespace mlx_convt::cpu
