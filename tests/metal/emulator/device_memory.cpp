// Whether a kernel may touch what it touches in its buffers. What is kept for
// every byte is mapped lazily, so a buffer may be larger than the memory.
#include "device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "access_order.h"
#include "errors.h"
#include "fibers.h"
#include "runtime.h"

namespace emulator {

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kGuard = size_t(1) << 30; // either side of a buffer
constexpr size_t kVectorBytes = 16;
// Larger buffers start as zeros, for the others NaNs show what is unwritten.
constexpr size_t kMaxPoisoned = size_t(64) << 20;

struct Buffer {
  std::string name;
  Access access;
  char* begin;
  size_t bytes;
  char* region; // with guards
  size_t region_bytes;
  bool is_whole; // all bytes are initialised
  uint8_t* initialised; // of each byte
  Cell* cells; // of each byte
};

std::vector<Buffer> buffers;
size_t loaded;
size_t stored;

char* reserve(size_t bytes, int protection) {
  void* mapped = mmap(
      nullptr,
      bytes,
      protection,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
      -1,
      0);
  if (mapped == MAP_FAILED) {
    std::perror("mmap");
    std::abort();
  }
  return static_cast<char*>(mapped);
}

Buffer* find(const void* address) {
  const char* at = static_cast<const char*>(address);
  for (Buffer& buffer : buffers) {
    if (size_t(at - buffer.region) < buffer.region_bytes) {
      return &buffer;
    }
  }
  return nullptr;
}

Buffer& known(const void* address) {
  Buffer* buffer = find(address);
  if (!buffer || buffer->begin != address) {
    std::fprintf(stderr, "%p is no buffer of the emulator\n", address);
    std::abort();
  }
  return *buffer;
}

bool is_written_by_kernels(const Buffer& buffer) {
  return buffer.access == Access::Write || buffer.access == Access::ReadWrite;
}

// The first uninitialised byte of a range, or its end.
size_t first_uninitialised(const Buffer& buffer, size_t from, size_t to) {
  if (buffer.is_whole) {
    return to;
  }
  const void* found = std::memchr(buffer.initialised + from, 0, to - from);
  return found ? size_t(static_cast<const uint8_t*>(found) - buffer.initialised)
               : to;
}

void check_order(
    Buffer& buffer,
    size_t offset,
    size_t bytes,
    bool is_write,
    const void* instruction) {
  const Race race =
      note_touches<Memory::Device>(buffer.cells + offset, bytes, is_write);
  if (race.conflict != Conflict::None) {
    report(
        "device race, %s: %s+%zu with thread %u, at %s",
        name_of(race.conflict),
        buffer.name.c_str(),
        offset + race.byte,
        race.other_thread,
        describe_address(instruction));
  }
}

} // namespace

void* allocate(
    const char* name,
    size_t bytes,
    Access access,
    const void* init,
    size_t misalign) {
  const size_t pages = (bytes + misalign + kPage - 1) / kPage * kPage;
  Buffer buffer;
  buffer.name = name;
  buffer.access = access;
  buffer.bytes = bytes;
  buffer.region_bytes = pages + 2 * kGuard;
  buffer.region = reserve(buffer.region_bytes, PROT_NONE);
  char* data = buffer.region + kGuard;
  mprotect(data, pages, PROT_READ | PROT_WRITE);
  // As near to the upper guard as the alignment allows.
  const size_t room = (pages - bytes - misalign) / kVectorBytes * kVectorBytes;
  buffer.begin = data + room + misalign;
  buffer.is_whole = init != nullptr;
  // Mapped to be never empty.
  buffer.initialised =
      reinterpret_cast<uint8_t*>(reserve(bytes + 1, PROT_READ | PROT_WRITE));
  buffer.cells = reinterpret_cast<Cell*>(
      reserve((bytes + 1) * sizeof(Cell), PROT_READ | PROT_WRITE));
  if (init) {
    std::memcpy(buffer.begin, init, bytes);
  } else if (bytes <= kMaxPoisoned) {
    std::memset(buffer.begin, 0xff, bytes);
  }
  buffers.push_back(buffer);
  return buffer.begin;
}

void release_all() {
  for (const Buffer& buffer : buffers) {
    munmap(buffer.region, buffer.region_bytes);
    munmap(buffer.initialised, buffer.bytes + 1);
    munmap(buffer.cells, (buffer.bytes + 1) * sizeof(Cell));
  }
  buffers.clear();
}

void read(const void* buffer, size_t offset, void* to, size_t bytes) {
  std::memcpy(to, known(buffer).begin + offset, bytes);
}

void write(void* buffer, size_t offset, const void* from, size_t bytes) {
  Buffer& target = known(buffer);
  std::memcpy(target.begin + offset, from, bytes);
  std::memset(target.initialised + offset, 1, bytes);
}

void mark_initialised(void* buffer) {
  known(buffer).is_whole = true;
}

void change_access(void* buffer, Access access) {
  known(buffer).access = access;
}

bool check_device_access(
    const void* address,
    size_t bytes,
    bool is_write,
    const void* instruction) {
  Buffer* buffer = find(address);
  if (!buffer) {
    return false;
  }
  const auto offset = static_cast<const char*>(address) - buffer->begin;
  if (offset < 0 || size_t(offset) + bytes > buffer->bytes) {
    report(
        "device %s out of bounds: %zu bytes at %s%+td of %zu, at %s",
        is_write ? "write" : "read",
        bytes,
        buffer->name.c_str(),
        offset,
        buffer->bytes,
        describe_address(instruction));
    abandon_launch();
  }
  const size_t from = size_t(offset);
  if (is_write) {
    stored += bytes;
    if (!is_written_by_kernels(*buffer)) {
      report(
          "write to an input: %s+%zu, at %s",
          buffer->name.c_str(),
          from,
          describe_address(instruction));
      abandon_launch();
    }
    if (!buffer->is_whole) {
      std::memset(buffer->initialised + from, 1, bytes);
    }
  } else {
    if (buffer->access != Access::Constant) {
      loaded += bytes;
    }
    const size_t bad = first_uninitialised(*buffer, from, from + bytes);
    if (bad < from + bytes) {
      report(
          "uninitialised device read: %s+%zu, at %s",
          buffer->name.c_str(),
          bad,
          describe_address(instruction));
      return true;
    }
  }
  if (is_written_by_kernels(*buffer)) {
    check_order(*buffer, from, bytes, is_write, instruction);
  }
  return true;
}

const char* describe_device_address(const void* address) {
  static char text[256];
  const Buffer* buffer = find(address);
  if (!buffer) {
    return nullptr;
  }
  std::snprintf(
      text,
      sizeof text,
      "%s%+td of %zu bytes",
      buffer->name.c_str(),
      static_cast<const char*>(address) - buffer->begin,
      buffer->bytes);
  return text;
}

void start_counting_device_bytes() {
  loaded = 0;
  stored = 0;
}

size_t device_bytes_loaded() {
  return loaded;
}

size_t device_bytes_stored() {
  return stored;
}

void report_unwritten_output(const void* address) {
  const Buffer* buffer = find(address);
  if (!buffer || buffer->access != Access::Write || buffer->is_whole) {
    return;
  }
  const size_t first = first_uninitialised(*buffer, 0, buffer->bytes);
  if (first == buffer->bytes) {
    return;
  }
  const size_t written = size_t(
      std::count(
          buffer->initialised,
          buffer->initialised + buffer->bytes,
          uint8_t(1)));
  report(
      "unwritten output: %zu of %zu bytes of %s, the first at %s+%zu",
      buffer->bytes - written,
      buffer->bytes,
      buffer->name.c_str(),
      buffer->name.c_str(),
      first);
}

} // namespace emulator
