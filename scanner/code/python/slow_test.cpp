// Files that are built to be slow end within their budget: complete, or a gap that says why.
#include "scanner/code/python/analyse.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <string>

namespace hubgate {
namespace {

// Of one processor, some ten times what it takes: what is not linear takes hours.
#ifdef __SANITIZE_ADDRESS__
constexpr double k_most_seconds = 240;
#else
constexpr double k_most_seconds = 12;
#endif

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i)
    out += text;
  return out;
}

std::string number(int n) {
  return std::to_string(n);
}

/// CPU seconds of a scan; the report must be complete or say that the budget was spent.
double seconds(const std::string& text) {
  const std::clock_t begin = std::clock();
  const Report report = test::scan_bytes("import os\n" + text);
  EXPECT_TRUE(report.complete() || test::has_gap(report, Reason::budget)) << test::show(report);
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

TEST(SlowPython, deep_expressions_and_blocks) {
  EXPECT_LT(seconds("x = " + repeated("(", 200'000) + "1" + repeated(")", 200'000) + "\n"),
            k_most_seconds);
  EXPECT_LT(seconds("x = " + repeated("-", 1'000'000) + "1\n"), k_most_seconds);
  std::string blocks;
  for (int i = 0; i < 2000; ++i)
    blocks += repeated(" ", i) + "if x:\n";
  EXPECT_LT(seconds(blocks + repeated(" ", 2000) + "pass\n"), k_most_seconds);
}

TEST(SlowPython, huge_expressions) {
  EXPECT_LT(seconds("x = 'a'" + repeated(" + 'a'", 500'000) + "\nexec(x)\n"), k_most_seconds);
  std::string dict = "d = {";
  std::string reads;
  for (int i = 0; i < 16'000; ++i) {
    dict += "'k" + number(i) + "': 'v',";
    reads += "x = d['k" + number(i) + "']\n";
  }
  EXPECT_LT(seconds(dict + "}\n" + reads), k_most_seconds);
  EXPECT_LT(seconds("x = '" + repeated("a", 10'000'000) + "'\nexec(x[::-1] + x[::2])\n"),
            k_most_seconds);
}

TEST(SlowPython, values_that_grow) {
  EXPECT_LT(seconds("x = 'a' * 4000\n" + repeated("x = x + x\n", 60) + "exec(x)\n"),
            k_most_seconds);
  EXPECT_LT(seconds("x = range(4096)\n" + repeated("x = list(zip(x, x))\n", 2000)), k_most_seconds);
  EXPECT_LT(seconds("x = [a for a in range(4000) for b in range(4000) for c in range(4000)]\n"),
            k_most_seconds);
}

TEST(SlowPython, calls_that_fan_out) {
  std::string functions;
  std::string generators;
  std::string callbacks;
  std::string dispatched = "def h(x): return x\n";
  for (int i = 0; i < 300; ++i) {
    const std::string next = number(i + 1);
    functions +=
        "def f" + number(i) + "(x):\n    f" + next + "(x + 'a')\n    f" + next + "(x + 'b')\n";
    generators += "def g" + number(i) + "():\n    yield from g" + next + "()\n    yield from g" +
                  next + "()\n";
    callbacks +=
        "def c" + number(i) + "(*a):\n    return g(c" + next + ", c" + next + ", 'x', *a)\n";
    dispatched +=
        "@h.register(int)\ndef r" + number(i) + "(x):\n    return h(x) + h('" + next + "')\n";
  }
  EXPECT_LT(seconds(functions + "f0('')\n"), k_most_seconds);
  EXPECT_LT(seconds(generators + "exec(list(g0()))\n"), k_most_seconds);
  EXPECT_LT(seconds(callbacks + "g(c0, 'x')\n"), k_most_seconds);
  EXPECT_LT(seconds(dispatched + "h('x')\n"), k_most_seconds);
}

TEST(SlowPython, classes_with_many_bases) {
  std::string classes;
  for (int i = 0; i < 300; ++i) {
    classes += "class C" + number(i) + "(";
    for (int base = std::max(0, i - 9); base < i; ++base)
      classes += (base > std::max(0, i - 9) ? ", C" : "C") + number(base);
    classes += "): pass\n";
  }
  for (int i = 0; i < 3000; ++i)
    classes += "C299().m" + number(i) + "\n";
  EXPECT_LT(seconds(classes), k_most_seconds);
}

TEST(SlowPython, thousands_of_commands) {
  std::string commands;
  for (int i = 0; i < 20'000; ++i)
    commands += "os.system('wget http://127.0.0.1/" + number(i) + " -O /tmp/f" + number(i) + "')\n";
  EXPECT_LT(seconds(commands), k_most_seconds);
}

} // namespace
} // namespace hubgate
