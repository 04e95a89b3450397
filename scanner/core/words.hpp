#pragma once
// WordStarts: which two letters begin one of some words, whatever their case. Looking for thirty
// words in a text costs one look into a table a byte, and a comparison where it says so.
#include <bitset>
#include <string_view>

namespace hubgate {

inline char lower_ascii(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

class WordStarts {
public:
  /// A word has two letters at least.
  void add(std::string_view word) { pairs_.set(pair(word[0], word[1])); }
  /// False: none of the words begins at `at`.
  bool may_begin(std::string_view text, std::size_t at) const {
    return at + 1 < text.size() && pairs_.test(pair(text[at], text[at + 1]));
  }

private:
  static std::size_t pair(char a, char b) {
    return std::size_t{static_cast<unsigned char>(lower_ascii(a))} << 8 |
           static_cast<unsigned char>(lower_ascii(b));
  }
  std::bitset<65536> pairs_;
};

/// Whether the lower-case `word` stands at `at`, whatever the case of the text.
inline bool word_at(std::string_view text, std::size_t at, std::string_view word) {
  if (text.size() - at < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i)
    if (lower_ascii(text[at + i]) != word[i]) return false;
  return true;
}

} // namespace hubgate
