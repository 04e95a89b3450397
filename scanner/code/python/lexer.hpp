#pragma once
// Lexer: the tokens of Python, with the line structure as tokens (Python's reference, chapter 2).
// Copyable, so that the parser can look ahead and come back.
#include <array>
#include <cstdint>
#include <string_view>

namespace hubgate::python {

enum class TokenKind : std::uint8_t {
  end,
  newline,
  indent,
  dedent,
  name,
  number,
  string,
  fstring, ///< also Python 3.14's t-strings
  op,      ///< op holds up to three characters
  bad,     ///< a character that Python has no use for, or a string without its end
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

class Lexer {
public:
  /// `nested`: the inside of brackets or of an f-string: no line structure.
  Lexer(std::string_view text, std::uint32_t begin, std::uint32_t end, bool nested);

  Token next();
  /// After an error: forgets open brackets, so that the next line end counts.
  void leave_brackets() { brackets_ = 0; }

private:
  static constexpr std::size_t k_max_indents = 128;

  char peek(std::uint32_t ahead = 0) const {
    return at_ + ahead < end_ ? text_[at_ + ahead] : '\0';
  }
  bool line_start(Token& token);
  void skip_line();
  Token string(std::uint32_t begin, bool raw, bool formatted);
  bool replacement_field(int level);
  bool skip_string(bool raw, bool formatted, int level);
  Token number();
  Token op();
  Token make(TokenKind kind, std::uint32_t begin) const { return {kind, begin, at_}; }

  std::string_view text_;
  std::uint32_t at_;
  std::uint32_t end_;
  bool nested_;
  bool at_line_start_;
  bool pending_newline_ = false; ///< the logical line has tokens
  std::uint32_t brackets_ = 0;
  std::uint32_t dedents_ = 0;
  std::uint32_t failures_ = 0; ///< strings without an end
  std::uint32_t depth_ = 1;    ///< open indentations, the outermost included
  std::array<std::uint32_t, k_max_indents> indents_{};
};

} // namespace hubgate::python
