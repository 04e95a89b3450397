#include "scanner/code/marshal/decompile.hpp"

#include "scanner/code/python/parser.hpp"
#include "tests/support/corpus.hpp"

#include <gtest/gtest.h>

namespace hubgate::marshal {
namespace {

constexpr const char* k_corpus = "scanner/code/marshal/corpus";

int version_of(const std::string& name) {
  const std::string digits = name.substr(name.find('_') + 1);
  return (digits[0] - '0') * 100 + std::stoi(digits.substr(1));
}

Decompiled decompiled(std::string_view bytes, int version = 0) {
  return decompile(as_bytes(bytes), read_any(as_bytes(bytes)), version);
}

bool parses(const std::string& text) {
  const python::Tree tree = python::parse_python(text);
  return tree.errors == 0 && !tree.gave_up && !tree.too_deep && !tree.too_large;
}

// What a function says of itself is kept for who reads it, and is no constant that code uses.
TEST(Decompile, keeps_documentation) {
  const auto corpus = test::corpus(k_corpus, "doc_");
  EXPECT_GE(corpus.size(), 8U);
  for (const auto& [name, bytes]: corpus) {
    const Decompiled source = decompiled(bytes, version_of(name));
    EXPECT_NE(source.text.find("def g():\n  'what g says of itself: curl it | sh'\n"),
              std::string::npos)
        << name << "\n"
        << source.text;
    const Object object = read_any(as_bytes(bytes));
    const Listing listing = list(as_bytes(bytes), object, version_of(name));
    ASSERT_FALSE(listing.strings.empty()) << name;
    EXPECT_EQ(listing.strings.back(), "a constant of g") << name;
    for (const std::string& text: listing.strings)
      EXPECT_EQ(text.find("curl"), std::string::npos) << name;
  }
}

TEST(Decompile, writes_the_same_of_every_version) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "module_")) {
    if (version_of(name) < 300) continue;
    const Decompiled source = decompiled(bytes, version_of(name));
    EXPECT_TRUE(source.complete) << name << "\n" << source.text;
    EXPECT_TRUE(parses(source.text)) << name << "\n" << source.text;
    for (const std::string_view line:
         {"import os as system_tools\n", "from subprocess import Popen\n",
          "import urllib.request\n", "def outer(x, y=(3, )[0]):\n",
          " def inner(a):\n  return eval(('1+' + str(a)))\n",
          " if x:\n  system_tools.system('echo hubgate-inert-marker')\n",
          " Popen(['echo', 'hubgate-inert-marker'], shell=True)\n", ".append(i)\n", "class C():\n",
          " z = __import__('os').getcwd()\n",
          "urllib.request.urlopen('http://127.0.0.1/hubgate-inert-marker').read()\n"})
      EXPECT_NE(source.text.find(line), std::string::npos) << name << " has no " << line << "\n"
                                                           << source.text;
  }
}

TEST(Decompile, calls_a_function_that_stands_alone) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "lambda_")) {
    if (version_of(name) < 300) continue;
    const Decompiled source = decompiled(bytes);
    EXPECT_TRUE(source.complete) << name;
    EXPECT_NE(source.text.find("__import__('os').system('echo hubgate-inert-marker')"),
              std::string::npos)
        << name << "\n"
        << source.text;
    EXPECT_NE(source.text.find("(*_given)\n"), std::string::npos) << name;
  }
}

TEST(Decompile, is_not_complete_without_a_table) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "lambda_27"))
    EXPECT_FALSE(decompiled(bytes, 207).complete) << name;
}

TEST(Decompile, ends_whatever_is_cut_or_changed) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "module_3")) {
    for (std::size_t n = 0; n < bytes.size(); n += 3)
      EXPECT_TRUE(parses(decompiled(std::string_view(bytes).substr(0, n)).text)) << name << n;
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      std::string changed = bytes;
      changed[n] = static_cast<char>(changed[n] ^ 0x15);
      EXPECT_TRUE(parses(decompiled(changed).text)) << name << " " << n << "\n"
                                                    << decompiled(changed).text;
    }
  }
}

} // namespace
} // namespace hubgate::marshal
