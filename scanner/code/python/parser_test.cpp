#include "scanner/code/python/ast.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace hubgate::python {
namespace {

std::uint32_t errors(std::string_view text) {
  return parse_python(text).errors;
}

std::string repeat(std::string_view piece, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i)
    out += piece;
  return out;
}

TEST(PythonParser, reads_the_language) {
  for (const std::string_view text:
       {"x = 1\n",
        "x: int = 1; y += 2\n",
        "print(*a, **b, c=1, *d)\n",
        "a = b = c, *d = e\n",
        "if a:\n  b\nelif c: d\nelse:\n  e\n",
        "for i, in x: pass\nelse: pass\n",
        "while x: break\n",
        "try:\n a\nexcept* E as e:\n b\nelse:\n c\nfinally:\n d\n",
        "with (open(a) as b, c): pass\nwith (a): pass\nwith (a, b)[0] as c: pass\n",
        "@d(1)\n@e\nasync def f(a, /, b: int = 1, *c, d, **e) -> x: return\n",
        "def f[T: int](x): yield from y\n",
        "class A[T](B, metaclass=C): x = 1\n",
        "lambda *a, b=1: (yield)\n",
        "[x for x in a if b if c for y in x]\n",
        "{**a, 'b': c}; {a: b for c in d}; {*a, b}; {}; ()\n",
        "a[1:2, ::3, ...]; a[:]\n",
        "match x:\n  case [a, *b] if a: c\n  case {'k': v, **r} | None as q: d\n  case _: e\n",
        "match = 1; match[0]; match(x); print(match)\n",
        "type X[T] = int\ntype = 1\n",
        "f'{a!r:>{b}} {{}} {x[\"y\"]} {f\"{z}\"}' 'c' rb'\\x00'\n",
        "f'''{\n a\n}'''\n",
        "print >>f, 'a', b\nprint 'a' % b\nexec c in d\n",
        "raise E, 'm'\nexcept_ = 0777L\n",
        "try: a\nexcept E, e: b\n",
        "a <> `b`\n",
        "def f((a, b), c): pass\n",
        "x = 1if y else 2\n",
        "a if b else c if d else e\n",
        "not not -a ** -b\n",
        "await x; async_ = 1\n",
        "from . import a\nfrom ...b.c import (d as e, f,)\n",
        "from a import *\n",
        "\xef\xbb\xbfx = 1\n",
        "x = '''a\nb''' \\\n  + c\r\ny\rz\n",
        "if x:\n\ty\n        z\n",
        "assert (yield), 'm'\ndel a[0], b\nglobal c\n",
        "x = [a for b in c if d else e]\n",
        "t'{a}'\n",
        "\xce\xb1 = 1\n",
        "a = b if c else lambda: d\n"})
    EXPECT_EQ(errors(text), 0U) << text;
}

TEST(PythonParser, a_broken_line_costs_itself_only) {
  const Tree tree = parse_python("a = 1\nb = = 2\nc(3)\nif d e:\n  f(4)\ng(5)\n");
  EXPECT_EQ(tree.errors, 2U);
  EXPECT_EQ(tree.calls, 3U);
}

TEST(PythonParser, what_was_read_of_a_broken_statement_stays) {
  EXPECT_EQ(parse_python("try:\n  a(1)\nexcept e f:\n  b(2)\n").calls, 2U);
  EXPECT_EQ(parse_python("if a:\n  b(1)\nelif c d:\n  e(2)\n").calls, 2U);
}

TEST(PythonParser, carriage_returns_end_lines_and_comments) {
  EXPECT_EQ(parse_python("# a comment\rf()\r").calls, 1U);
}

TEST(PythonParser, other_text_is_given_up) {
  EXPECT_TRUE(parse_python(repeat("this is no Python, it's prose.\n", 500)).gave_up);
}

TEST(PythonParser, depth_is_bounded) {
  for (const std::string& text:
       {std::string(100000, '('), std::string(100000, '-') + "1", repeat("not ", 100000) + "x",
        "x" + repeat(".a", 100000), "x" + repeat("()", 100000), repeat("lambda:", 100000) + "x",
        "x = " + repeat("a if b else ", 100000) + "c", repeat("a**", 100000) + "b",
        repeat("f'{", 1000), repeat("[x for x in a if ", 10000)}) {
    const Tree tree = parse_python(text + "\nf()\n");
    EXPECT_TRUE(tree.too_deep || tree.errors > 0) << text.substr(0, 20);
  }
  EXPECT_FALSE(parse_python("x = " + repeat("a + ", 100000) + "b\n").too_deep);
}

TEST(PythonParser, hostile_text_is_linear) {
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& text:
       {repeat("f\"{", 300000), repeat("\\\"\"\"\n", 200000), repeat("match x:\n case", 50000),
        repeat("f'{x'\n", 200000), repeat("'", 999999), repeat("[x for x in a if ", 50000),
        repeat("if x:\n ", 100000)})
    parse_python(text);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

} // namespace
} // namespace hubgate::python
