#pragma once
// WordStarts: where in a text one of some words may begin, whatever its case. Looking for thirty
// words costs one pass over the text, 32 bytes at a time where the processor can, and a comparison
// where the first letters fit.
#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>

namespace hubgate {

inline char lower_ascii(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

class WordStarts {
public:
  /// A word has two letters at least.
  void add(std::string_view word);
  /// False: none of the words begins at `at`.
  bool may_begin(std::string_view text, std::size_t at) const {
    return at + 1 < text.size() && pairs_.test(pair(text[at], text[at + 1]));
  }
  /// The first place at or behind `at` where a word may begin; npos when there is none.
  std::size_t next(std::string_view text, std::size_t at) const;

private:
  static constexpr std::size_t k_letters = 3; ///< of each word that the wide search compares
  /// Bit b of the entry for a half of a byte: a word of group b has it in this letter.
  struct Letter {
    std::array<std::uint8_t, 16> low{};
    std::array<std::uint8_t, 16> high{};
  };
  static std::size_t pair(char a, char b) {
    return std::size_t{static_cast<unsigned char>(lower_ascii(a))} << 8 |
           static_cast<unsigned char>(lower_ascii(b));
  }
  std::size_t wide(std::string_view text, std::size_t blocks, std::size_t at) const;

  std::bitset<65536> pairs_;
  std::array<Letter, k_letters> masks_{};
};

/// Whether the lower-case `word` stands at `at`, whatever the case of the text.
inline bool word_at(std::string_view text, std::size_t at, std::string_view word) {
  if (text.size() - at < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i)
    if (lower_ascii(text[at + i]) != word[i]) return false;
  return true;
}

} // namespace hubgate
