#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include "check.h"

namespace test {
namespace {

struct Test {
  const char* name;
  void (*body)();
};

std::vector<Test>& tests() {
  static std::vector<Test> list;
  return list;
}

std::vector<std::string> notes;
int passed = 0;
int failed = 0;

// One defect may break thousands of checks; the first ones tell enough.
constexpr int kMostPrinted = 25;

} // namespace

Registration::Registration(const char* name, void (*body)()) {
  tests().push_back({name, body});
}

Note::Note(const std::string& text) {
  notes.push_back(text);
}
Note::~Note() {
  notes.pop_back();
}

void count_check(
    bool ok,
    const char* file,
    int line,
    const std::string& expression,
    const std::string& values) {
  if (ok) {
    ++passed;
    return;
  }
  if (++failed > kMostPrinted) {
    return;
  }
  std::printf("%s:%d: failed: %s", file, line, expression.c_str());
  if (!values.empty()) {
    std::printf("\n    %s", values.c_str());
  }
  for (auto& note : notes) {
    std::printf("\n    in %s", note.c_str());
  }
  std::printf("\n");
}

} // namespace test

int main() {
  // Line by line: a sanitizer may end the process.
  std::setvbuf(stdout, nullptr, _IOLBF, 1024);
  alarm(600); // a lost thread would make the pool wait for ever
  // Before the pool starts. Threads with and without a processor of their own
  // wait in different ways: run with 2, and with more than there are.
  setenv("MLX_CONVT_NUM_THREADS", "4", 0);
  for (auto& [name, body] : test::tests()) {
    test::Note note(name);
    try {
      body();
    } catch (const std::exception& error) {
      test::count_check(false, name, 0, "no exception", error.what());
    }
  }
  std::printf("%d passed, %d failed\n", test::passed, test::failed);
  return test::failed ? 1 : 0;
}
