// Whether two threads' accesses to a byte are ordered by a barrier.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace emulator {

enum class Memory { Device, Threadgroup };

// Where the running thread is in time. A barrier starts a new moment; what was
// touched before a floor is ordered before all that follows it.
struct Clock {
  uint32_t first_group_of_launch;
  uint32_t group; // numbered through all launches
  uint32_t moment;
  uint32_t floor[2]; // of the threadgroup, by Memory
  uint32_t simd_floor[32][2]; // of each SIMD-group, by Memory
  uint32_t simd_group;
  uint32_t thread;
};

extern Clock now;

// The latest touch of a byte, and whether others have touched it unordered.
// All zeros is a touch of no launch.
struct Touch {
  uint64_t group : 28;
  uint64_t thread : 10;
  uint64_t moment : 23;
  uint64_t many_lanes : 1;
  uint64_t many_simd_groups : 1;
  uint64_t many_groups : 1;
};
static_assert(sizeof(Touch) == 8);

struct Cell {
  uint64_t writer;
  uint64_t reader;
  bool operator==(const Cell&) const = default;
};

enum class Conflict { None, WriteWrite, ReadWrite, WriteRead, Uninitialised };

struct Race {
  Conflict conflict = Conflict::None;
  size_t byte = 0;
  uint32_t other_thread = 0; // of its threadgroup
};

inline Touch touch_of_now() {
  Touch touch = {};
  touch.group = now.group;
  touch.thread = now.thread;
  touch.moment = now.moment;
  return touch;
}

// Each threadgroup begins with threadgroup memory of its own.
template <Memory kMemory>
bool is_forgotten(Touch touch) {
  return kMemory == Memory::Device ? touch.group < now.first_group_of_launch
                                   : touch.group != now.group;
}

inline bool is_in_simd_group(Touch touch) {
  return touch.thread / 32 == now.simd_group;
}

template <Memory kMemory>
bool is_before_floor(Touch touch) {
  return touch.moment < now.floor[int(kMemory)];
}

template <Memory kMemory>
bool is_before_simd_floor(Touch touch) {
  return touch.moment < now.simd_floor[now.simd_group][int(kMemory)];
}

template <Memory kMemory>
bool conflicts_with_writer(Touch writer) {
  if (is_forgotten<kMemory>(writer)) {
    return false;
  }
  if (writer.group != now.group) {
    return true;
  }
  if (writer.thread == now.thread || is_before_floor<kMemory>(writer)) {
    return false;
  }
  return !is_in_simd_group(writer) || !is_before_simd_floor<kMemory>(writer);
}

template <Memory kMemory>
bool conflicts_with_readers(Touch reader) {
  if (is_forgotten<kMemory>(reader)) {
    return false;
  }
  if (reader.many_groups || reader.group != now.group) {
    return true;
  }
  if (is_before_floor<kMemory>(reader)) {
    return false;
  }
  if (reader.many_simd_groups || !is_in_simd_group(reader)) {
    return true;
  }
  return !is_before_simd_floor<kMemory>(reader) &&
      (reader.many_lanes || reader.thread != now.thread);
}

template <Memory kMemory>
Touch with_reader(Touch before) {
  Touch reader = touch_of_now();
  if (is_forgotten<kMemory>(before)) {
    return reader;
  }
  if (before.many_groups || before.group != now.group) {
    reader.many_groups = 1;
  } else if (!is_before_floor<kMemory>(before)) {
    const bool same = is_in_simd_group(before);
    reader.many_simd_groups = before.many_simd_groups || !same;
    reader.many_lanes = same && !is_before_simd_floor<kMemory>(before) &&
        (before.many_lanes || before.thread != now.thread);
  }
  return reader;
}

template <Memory kMemory>
Race note_touch(Cell& cell, bool is_write) {
  const Touch writer = std::bit_cast<Touch>(cell.writer);
  const Touch reader = std::bit_cast<Touch>(cell.reader);
  Race race;
  // Of buffers the host may have written; device_memory.cpp keeps that.
  if (kMemory == Memory::Threadgroup && !is_write &&
      is_forgotten<kMemory>(writer)) {
    race.conflict = Conflict::Uninitialised;
  } else if (conflicts_with_writer<kMemory>(writer)) {
    race.conflict = is_write ? Conflict::WriteWrite : Conflict::WriteRead;
    race.other_thread = writer.thread;
  } else if (is_write && conflicts_with_readers<kMemory>(reader)) {
    race.conflict = Conflict::ReadWrite;
    race.other_thread = reader.thread;
  }
  if (is_write) {
    cell = {std::bit_cast<uint64_t>(touch_of_now()), 0};
  } else {
    cell.reader = std::bit_cast<uint64_t>(with_reader<kMemory>(reader));
  }
  return race;
}

// The bytes of one access nearly always have the same past.
template <Memory kMemory>
Race note_touches(Cell* cells, size_t bytes, bool is_write) {
  const Cell past = cells[0];
  const Race race = note_touch<kMemory>(cells[0], is_write);
  if (race.conflict != Conflict::None) {
    return race;
  }
  const Cell present = cells[0];
  for (size_t i = 1; i < bytes; ++i) {
    if (cells[i] == past) {
      cells[i] = present;
      continue;
    }
    Race other = note_touch<kMemory>(cells[i], is_write);
    if (other.conflict != Conflict::None) {
      other.byte = i;
      return other;
    }
  }
  return race;
}

inline const char* name_of(Conflict conflict) {
  return conflict == Conflict::WriteWrite ? "write after write"
      : conflict == Conflict::ReadWrite   ? "write after read"
                                          : "read after write";
}

} // namespace emulator
