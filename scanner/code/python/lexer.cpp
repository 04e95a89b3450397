#include "scanner/code/python/lexer.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

/// F-strings inside replacement fields inside f-strings…: CPython 3.12 allows 150.
constexpr int k_max_fstring_level = 150;
/// Searches for an end that is not there, and how far a field may reach: both keep hostile text
/// linear.
constexpr std::uint32_t k_max_failures = 32;
constexpr std::uint32_t k_max_field = std::uint32_t{1} << 18;

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name(char c) {
  return is_name_start(c) || is_digit(c);
}

// Letters before a quote that make a string literal: r, b, u, f, t in any case and sensible pairs.
bool is_prefix(std::string_view word, bool& raw, bool& formatted) {
  if (word.size() > 2) return false;
  raw = formatted = false;
  for (const char c: word) {
    switch (c | 0x20) {
    case 'r':
      raw = true;
      break;
    case 'f':
    case 't':
      formatted = true;
      break;
    case 'b':
    case 'u':
      break;
    default:
      return false;
    }
  }
  return true;
}

} // namespace

Lexer::Lexer(std::string_view text, std::uint32_t begin, std::uint32_t end, bool nested)
    : text_(text), at_(begin), end_(end), nested_(nested), at_line_start_(!nested) {}

void Lexer::skip_line() {
  while (at_ < end_ && text_[at_] != '\n' && text_[at_] != '\r')
    ++at_;
}

// Measures the indentation of a line. True: `token` is an indent or the first dedent.
bool Lexer::line_start(Token& token) {
  for (;;) {
    std::uint32_t column = 0;
    for (; at_ < end_; ++at_) {
      const char c = text_[at_];
      if (c == ' ')
        ++column;
      else if (c == '\t')
        column = (column / 8 + 1) * 8;
      else if (c == '\f')
        column = 0;
      else
        break;
    }
    if (at_ >= end_) {
      at_line_start_ = false;
      return false;
    }
    const char c = text_[at_];
    if (c == '#') skip_line();
    if (at_ < end_ && (text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
      continue;
    }
    if (at_ >= end_) {
      at_line_start_ = false;
      return false;
    }
    if (c == '\\' && at_ + 1 < end_ && (text_[at_ + 1] == '\n' || text_[at_ + 1] == '\r')) {
      at_ += 2;
      continue;
    }
    at_line_start_ = false;
    if (column > indents_[depth_ - 1] && depth_ < k_max_indents) {
      indents_[depth_++] = column;
      token = {TokenKind::indent, at_, at_};
      return true;
    }
    while (depth_ > 1 && column < indents_[depth_ - 1]) {
      --depth_;
      ++dedents_;
    }
    return false;
  }
}

Token Lexer::next() {
  for (;;) {
    if (dedents_ > 0) {
      --dedents_;
      return {TokenKind::dedent, at_, at_};
    }
    if (at_line_start_) {
      Token token;
      if (line_start(token)) return token;
      continue;
    }
    while (at_ < end_ && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\f'))
      ++at_;
    if (at_ >= end_) {
      if (nested_) return make(TokenKind::end, at_);
      if (pending_newline_) {
        pending_newline_ = false;
        return make(TokenKind::newline, at_);
      }
      if (depth_ > 1) {
        dedents_ = depth_ - 1;
        depth_ = 1;
        continue;
      }
      return make(TokenKind::end, at_);
    }
    const char c = text_[at_];
    if (c == '#') {
      skip_line();
      continue;
    }
    // A lone carriage return ends a line for Python, though many editors do not show it.
    if (c == '\n' || c == '\r') {
      const std::uint32_t begin = at_;
      ++at_;
      if (c == '\r' && peek() == '\n') ++at_;
      if (nested_ || brackets_ > 0) continue;
      at_line_start_ = true;
      if (!pending_newline_) continue;
      pending_newline_ = false;
      return make(TokenKind::newline, begin);
    }
    if (c == '\\' && (peek(1) == '\n' || peek(1) == '\r')) {
      at_ += peek(1) == '\r' && peek(2) == '\n' ? 3 : 2;
      continue;
    }
    pending_newline_ = true;
    const std::uint32_t begin = at_;
    if (is_name_start(c)) {
      while (at_ < end_ && is_name(text_[at_]))
        ++at_;
      bool raw = false;
      bool formatted = false;
      if ((peek() == '"' || peek() == '\'') &&
          is_prefix(text_.substr(begin, at_ - begin), raw, formatted))
        return string(begin, raw, formatted);
      return make(TokenKind::name, begin);
    }
    if (c == '"' || c == '\'') return string(begin, false, false);
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    return op();
  }
}

Token Lexer::string(std::uint32_t begin, bool raw, bool formatted) {
  if (!skip_string(raw, formatted, 0)) return make(TokenKind::bad, begin);
  return make(formatted ? TokenKind::fstring : TokenKind::string, begin);
}

// At the quote; behind the closing quote afterwards. False: no end on this line (or at all).
bool Lexer::skip_string(bool raw, bool formatted, int level) {
  const char quote = text_[at_];
  const bool triple = peek(1) == quote && peek(2) == quote;
  const std::uint32_t opened = at_;
  at_ += triple ? 3 : 1;
  while (at_ < end_ && (!triple || failures_ < k_max_failures)) {
    const char c = text_[at_];
    if (c == '\\' && (!formatted || !raw || peek(1) != '{')) {
      at_ += peek(1) == '\r' && peek(2) == '\n' ? 3 : 2;
      if (at_ > end_) at_ = end_;
      continue;
    }
    if (c == quote && (!triple || (peek(1) == quote && peek(2) == quote))) {
      at_ += triple ? 3 : 1;
      return true;
    }
    if (!triple && (c == '\n' || c == '\r')) return false;
    if (formatted && c == '{') {
      if (peek(1) == '{') {
        at_ += 2;
        continue;
      }
      const std::uint32_t field = at_;
      if (level < k_max_fstring_level && replacement_field(level + 1)) continue;
      // No field after all: before 3.12 a quote ended the string wherever it stood.
      at_ = field + 1;
      formatted = false;
      continue;
    }
    ++at_;
  }
  // Go on behind the first line: the rest may be read.
  ++failures_;
  at_ = opened + (triple ? 3 : 1);
  skip_line();
  return false;
}

// At '{'; behind the matching '}' afterwards.
bool Lexer::replacement_field(int level) {
  std::uint32_t open = 0;
  const std::uint32_t begin = at_;
  while (at_ < end_ && at_ - begin < k_max_field && failures_ < k_max_failures) {
    const char c = text_[at_];
    if (c == '{' || c == '(' || c == '[') {
      ++open;
    } else if (c == '}' || c == ')' || c == ']') {
      if (--open == 0) {
        ++at_;
        return true;
      }
    } else if (c == '"' || c == '\'') {
      bool raw = false;
      bool formatted = false;
      std::uint32_t word = at_;
      while (word > 0 && is_name(text_[word - 1]) && at_ - word < 3)
        --word;
      if (!is_prefix(text_.substr(word, at_ - word), raw, formatted)) raw = formatted = false;
      if (!skip_string(raw, formatted, level)) return false;
      continue;
    }
    ++at_;
  }
  ++failures_;
  return false;
}

Token Lexer::number() {
  const std::uint32_t begin = at_;
  while (at_ < end_) {
    const char c = text_[at_];
    if (is_name(c) && static_cast<unsigned char>(c) < 0x80) {
      ++at_;
      // 1e-5, but not 0xe-5
      const bool hex = at_ - begin > 1 && (text_[begin + 1] | 0x20) == 'x';
      if (!hex && (c | 0x20) == 'e' && (peek() == '-' || peek() == '+') && is_digit(peek(1))) ++at_;
    } else if (c == '.') {
      ++at_;
    } else {
      break;
    }
  }
  // "1if x" and "1or y" are valid (and deprecated): give the word back.
  std::uint32_t digits = begin;
  while (digits < at_ && is_digit(text_[digits]))
    ++digits;
  const std::string_view rest = text_.substr(digits, at_ - digits);
  for (const std::string_view word: {"if", "or", "and", "else", "in", "is", "not", "for"})
    if (rest == word) at_ = digits;
  return make(TokenKind::number, begin);
}

Token Lexer::op() {
  const std::uint32_t begin = at_;
  const std::string_view rest = text_.substr(at_, std::min<std::size_t>(3, end_ - at_));
  for (const std::string_view three: {"**=", "//=", ">>=", "<<=", "..."})
    if (rest == three) {
      at_ += 3;
      return make(TokenKind::op, begin);
    }
  for (const std::string_view two: {"==", "!=", "<>", "<=", ">=", "->", "+=", "-=", "*=", "/=",
                                    "%=", "&=", "|=", "^=", "@=", "**", "//", ">>", "<<", ":="})
    if (rest.substr(0, 2) == two) {
      at_ += 2;
      return make(TokenKind::op, begin);
    }
  const char c = text_[at_++];
  switch (c) {
  case '(':
  case '[':
  case '{':
    ++brackets_;
    break;
  case ')':
  case ']':
  case '}':
    if (brackets_ > 0) --brackets_;
    break;
  case '+':
  case '-':
  case '*':
  case '/':
  case '%':
  case '@':
  case '&':
  case '|':
  case '^':
  case '~':
  case '<':
  case '>':
  case ',':
  case ':':
  case '.':
  case ';':
  case '=':
  case '`':
    break;
  default:
    return make(TokenKind::bad, begin);
  }
  return make(TokenKind::op, begin);
}

} // namespace hubgate::python
