#include "scanner/core/words.hpp"

#include <gtest/gtest.h>

#include <cctype>
#include <random>
#include <string>
#include <vector>

namespace hubgate {
namespace {

// What next() must not miss: each place where one of the words stands.
std::size_t first_word(std::string_view text, std::size_t from,
                       const std::vector<std::string_view>& words) {
  for (std::size_t at = from; at < text.size(); ++at)
    for (const std::string_view word: words)
      if (word_at(text, at, word)) return at;
  return std::string_view::npos;
}

TEST(WordStarts, FindsEachWordWhereverItStands) {
  const std::vector<std::string_view> words{"curl", "wget", "__", "nc ", "/dev/tcp", "sk-"};
  WordStarts starts;
  for (const std::string_view word: words)
    starts.add(word);
  for (const std::string_view word: words)
    for (std::size_t size = word.size(); size < 110; ++size)
      for (std::size_t at = 0; at + word.size() <= size; ++at) {
        std::string text(size, '.');
        for (std::size_t i = 0; i < word.size(); ++i)
          text[at + i] = i % 2 == 0 ? static_cast<char>(std::toupper(word[i])) : word[i];
        EXPECT_EQ(starts.next(text, 0), at) << text;
        EXPECT_EQ(starts.next(text, at), at) << text;
        EXPECT_EQ(starts.next(text, at + 1), text.npos) << text;
      }
}

TEST(WordStarts, SaysWhatALookAtEachPlaceSays) {
  const std::vector<std::string_view> words{"base64", "cur", "ab", "xy"};
  WordStarts starts;
  for (const std::string_view word: words)
    starts.add(word);
  std::mt19937 chooser(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text(chooser() % 150, '\0');
    for (char& c: text)
      c = std::string_view("abcurxyABCXe64\0\xff", 16)[chooser() % 16];
    for (std::size_t at = 0; at <= text.size(); ++at) {
      const std::size_t next = starts.next(text, at);
      const std::size_t word = first_word(text, at, words);
      ASSERT_LE(next, word) << "a word was passed over";
      ASSERT_TRUE(next == text.npos || (next >= at && starts.may_begin(text, next)));
    }
  }
}

TEST(WordStarts, OfNothing) {
  WordStarts starts;
  EXPECT_EQ(starts.next("some text that is longer than one block of the search", 0),
            std::string_view::npos);
  starts.add("ab");
  EXPECT_EQ(starts.next("", 0), std::string_view::npos);
  EXPECT_EQ(starts.next("a", 0), std::string_view::npos);
  EXPECT_EQ(starts.next("ab", 2), std::string_view::npos);
}

} // namespace
} // namespace hubgate
