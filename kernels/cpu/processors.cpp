#include "processors.h"

#ifdef __linux__
#include <pthread.h>
#endif

namespace mlx_convt::cpu {

#ifdef __linux__
int available_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return CPU_COUNT(&set);
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

int current_processor() {
  return sched_getcpu();
}

void Detour::begin(std::thread& thread, int processor) {
  auto handle = thread.native_handle();
  cpu_set_t allowed;
  cpu_set_t now;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 ||
      pthread_getaffinity_np(handle, sizeof(now), &now) != 0) {
    return;
  }
  bool is_ours = processor_ >= 0 && CPU_EQUAL(&now, &given_);
  if (!is_ours && !CPU_EQUAL(&now, &allowed)) {
    processor_ = -1; // it was told to be there
    return;
  }
  cpu_set_t elsewhere = allowed;
  CPU_CLR(processor, &elsewhere);
  if (CPU_COUNT(&elsewhere) > 0 &&
      pthread_setaffinity_np(handle, sizeof(elsewhere), &elsewhere) == 0) {
    processor_ = processor;
    allowed_ = allowed;
    given_ = elsewhere;
  }
}

bool Detour::is_out_of_date(int processor) const {
  if (processor_ < 0) {
    return false;
  }
  cpu_set_t allowed;
  return processor_ != processor ||
      (sched_getaffinity(0, sizeof(allowed), &allowed) == 0 &&
       !CPU_EQUAL(&allowed, &allowed_));
}
#else
int available_processors() {
  return static_cast<int>(std::thread::hardware_concurrency());
}

int current_processor() {
  return -1;
}

void Detour::begin(std::thread&, int) {}

bool Detour::is_out_of_date(int) const {
  return false;
}
#endif

} // namespace mlx_convt::cpu
