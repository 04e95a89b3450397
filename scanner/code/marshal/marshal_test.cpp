#include "scanner/code/marshal/marshal.hpp"
#include "tests/support/corpus.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace hubgate::marshal {
namespace {

constexpr const char* k_corpus = "scanner/code/marshal/corpus";

int version_of(const std::string& name) {
  const std::string digits = name.substr(name.find('_') + 1);
  return (digits[0] - '0') * 100 + std::stoi(digits.substr(1));
}

bool calls(const Listing& listing, std::string_view module, std::string_view name) {
  return std::any_of(listing.calls.begin(), listing.calls.end(),
                     [&](const Call& call) { return call.module == module && call.name == name; });
}

std::string show(const Listing& listing) {
  return std::to_string(listing.version) + " " + listing.text;
}

TEST(Marshal, reads_modules_of_every_version) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "module_")) {
    const Object object = read_any(as_bytes(bytes));
    ASSERT_EQ(object.state, Object::State::complete) << name;
    EXPECT_EQ(object.end, bytes.size()) << name;
    const Listing listing = list(as_bytes(bytes), object, version_of(name));
    EXPECT_TRUE(calls(listing, "os", "system")) << name << " " << show(listing);
    EXPECT_TRUE(calls(listing, "subprocess", "Popen")) << name << " " << show(listing);
    EXPECT_TRUE(calls(listing, "builtins", "eval")) << name << " " << show(listing);
    EXPECT_TRUE(calls(listing, "urllib.request", "urlopen")) << name << " " << show(listing);
    EXPECT_NE(listing.text.find("system('echo hubgate-inert-marker')"), std::string::npos)
        << name << " " << show(listing);
  }
}

TEST(Marshal, guesses_the_version_of_a_lambda) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "lambda_")) {
    const Object object = read_any(as_bytes(bytes));
    ASSERT_EQ(object.state, Object::State::complete) << name;
    const Listing listing = list(as_bytes(bytes), object);
    EXPECT_TRUE(calls(listing, "os", "system")) << name << " " << show(listing);
    EXPECT_FALSE(find_danger(listing).effect.empty()) << name;
  }
}

TEST(Marshal, finds_nothing_against_arithmetic) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "honest_")) {
    const Object object = read_any(as_bytes(bytes));
    ASSERT_EQ(object.state, Object::State::complete) << name;
    const Listing listing = list(as_bytes(bytes), object);
    EXPECT_TRUE(find_danger(listing).effect.empty()) << name << " " << show(listing);
    EXPECT_TRUE(listing.calls.empty()) << name << " " << show(listing);
  }
}

TEST(Marshal, says_so_when_cut) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "lambda_"))
    for (std::size_t n = 0; n < bytes.size(); ++n)
      EXPECT_NE(read_any(as_bytes(bytes).first(n)).state, Object::State::complete) << name << n;
}

TEST(Marshal, bounds_nesting_and_references) {
  std::string tuples;
  for (int i = 0; i < 100'000; ++i)
    tuples += std::string(")\1", 2);
  EXPECT_EQ(read(as_bytes(tuples), Layout::python311).state, Object::State::limit);
  // A reference to a value that is not finished, and to none.
  EXPECT_EQ(read(as_bytes(std::string("\xa9\1r\0\0\0\0", 7)), Layout::python311).state,
            Object::State::malformed);
  EXPECT_EQ(read(as_bytes(std::string("r\1\0\0\0", 5)), Layout::python311).state,
            Object::State::malformed);
  // A length beyond the input.
  EXPECT_EQ(read(as_bytes(std::string("(\xff\xff\xff\x7f", 5)), Layout::python311).state,
            Object::State::truncated);
}

TEST(Marshal, judges_builtins_by_what_code_does_with_them) {
  EXPECT_FALSE(effect_of("builtins", "eval").empty());
  EXPECT_TRUE(effect_of("builtins", "getattr").empty());
  EXPECT_TRUE(effect_of("builtins", "len").empty());
  EXPECT_TRUE(effect_of("x", "system").empty());
  EXPECT_FALSE(effect_of("os", "system").empty());
}

} // namespace
} // namespace hubgate::marshal
