// Tests without a framework: a failed check prints its expression, its values
// and the notes in force, and the run goes on.
#pragma once

#include <sstream>
#include <string>

namespace test {

struct Registration {
  Registration(const char* name, void (*body)());
};

// Says which case is under test, for as long as it lives.
struct Note {
  explicit Note(const std::string& text);
  ~Note();
  Note(const Note&) = delete;
};

void count_check(
    bool passed,
    const char* file,
    int line,
    const std::string& expression,
    const std::string& values = "");

template <typename T>
std::string show(const T& value) {
  std::ostringstream text;
  text.precision(17);
  if constexpr (requires { text << value; }) {
    text << value;
  } else {
    for (auto& entry : value) {
      text << (text.str().empty() ? "(" : ", ") << show(entry);
    }
    text << (text.str().empty() ? "()" : ")");
  }
  return text.str();
}

template <typename A, typename B>
void check_equal(
    const A& a,
    const B& b,
    const char* file,
    int line,
    const char* expression) {
  bool equal = a == b;
  count_check(
      equal, file, line, expression, equal ? "" : show(a) + " != " + show(b));
}

// The text of the E that f throws, or what it did instead.
template <typename E, typename F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  } catch (...) {
    return "an exception of another type";
  }
  return "no exception";
}

} // namespace test

#define TEST(name)                                                \
  static void name();                                             \
  static const test::Registration name##_registered{#name, name}; \
  static void name()

#define CHECK(condition) \
  test::count_check(bool(condition), __FILE__, __LINE__, #condition)

#define CHECK_EQUAL(a, b) \
  test::check_equal(a, b, __FILE__, __LINE__, #a " == " #b)
