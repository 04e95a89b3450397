// The lexer of Jinja2 (jinja2/lexer.py) with default delimiters.
#include "scanner/code/jinja/tree.hpp"

#include <algorithm>
#include <array>

namespace hubgate::jinja {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_name(char c) {
  return is_name_start(c) || is_digit(c);
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_point(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | ((c >> 18) & 7));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

// Python's escapes of text: the lexer decodes strings with "unicode-escape".
std::string unescape(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  const auto numeric = [&](std::size_t& at, std::size_t digits) {
    std::uint32_t value = 0;
    std::size_t i = at;
    for (; i < raw.size() && i - at < digits && hex_value(raw[i]) >= 0; ++i)
      value = value * 16 + static_cast<std::uint32_t>(hex_value(raw[i]));
    at = i;
    append_point(out, value);
  };
  for (std::size_t i = 0; i < raw.size();) {
    const char c = raw[i++];
    if (c != '\\' || i >= raw.size()) {
      out += c;
      continue;
    }
    const char escape = raw[i++];
    constexpr std::string_view k_from = "abfnrtv\\'\"";
    constexpr std::string_view k_to = "\a\b\f\n\r\t\v\\'\"";
    if (const auto simple = k_from.find(escape); simple != std::string_view::npos) {
      out += k_to[simple];
    } else if (escape == '\n') {
      continue;
    } else if (escape == 'x') {
      numeric(i, 2);
    } else if (escape == 'u') {
      numeric(i, 4);
    } else if (escape == 'U') {
      numeric(i, 8);
    } else if (escape >= '0' && escape <= '7') {
      std::uint32_t value = static_cast<std::uint32_t>(escape - '0');
      for (int more = 0; more < 2 && i < raw.size() && raw[i] >= '0' && raw[i] <= '7'; ++more)
        value = value * 8 + static_cast<std::uint32_t>(raw[i++] - '0');
      append_point(out, value);
    } else if (escape == 'N' && i < raw.size() && raw[i] == '{') {
      // Of the named characters only the one that dunders are made of matters.
      const std::size_t close = raw.find('}', i);
      const std::string_view name =
          raw.substr(i + 1, close == std::string_view::npos ? 0 : close - i - 1);
      out += name == "LOW LINE" || name == "low line" || name == "SPACING UNDERSCORE" ? '_' : '?';
      i = close == std::string_view::npos ? raw.size() : close + 1;
    } else {
      out += '\\';
      out += escape;
    }
  }
  return out;
}

class Lexer {
public:
  Lexer(std::string_view text, std::string& problem) : text_(text), problem_(problem) {}

  std::vector<Lexeme> run() {
    while (at_ < text_.size())
      outside();
    push(Token::end, at_, "");
    return std::move(out_);
  }

private:
  void push(Token kind, std::size_t offset, std::string text) {
    out_.push_back({kind, static_cast<std::uint32_t>(offset), std::move(text)});
  }
  void complain(std::string_view what) {
    if (problem_.empty()) problem_ = what;
  }
  void outside();
  void raw();
  void inside(std::string_view close);
  void string();
  bool at(std::string_view word) const { return text_.substr(at_).starts_with(word); }

  std::string_view text_;
  std::string& problem_;
  std::vector<Lexeme> out_;
  std::size_t at_ = 0;
};

void Lexer::outside() {
  std::size_t open = at_;
  for (;; ++open) {
    open = text_.find('{', open);
    if (open == std::string_view::npos || open + 1 >= text_.size()) {
      open = text_.size();
      break;
    }
    const char next = text_[open + 1];
    if (next == '{' || next == '%' || next == '#') break;
  }
  if (open > at_) push(Token::data, at_, std::string(text_.substr(at_, open - at_)));
  at_ = open;
  if (at_ >= text_.size()) return;
  const char kind = text_[at_ + 1];
  const std::size_t begin = at_;
  at_ += 2;
  if (kind == '#') {
    const std::size_t close = text_.find("#}", at_);
    if (close == std::string_view::npos) complain("a comment that does not end");
    at_ = close == std::string_view::npos ? text_.size() : close + 2;
    return;
  }
  if (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '+')) ++at_;
  if (kind == '{') {
    push(Token::expression, begin, "");
    inside("}}");
    return;
  }
  std::size_t word = at_;
  while (word < text_.size() && is_space(text_[word]))
    ++word;
  if (text_.substr(word).starts_with("raw") && word + 3 < text_.size() &&
      !is_name(text_[word + 3])) {
    std::size_t close = word + 3;
    while (close < text_.size() && is_space(text_[close]))
      ++close;
    if (close < text_.size() && (text_[close] == '-' || text_[close] == '+')) ++close;
    if (text_.substr(close).starts_with("%}")) {
      at_ = close + 2;
      raw();
      return;
    }
  }
  push(Token::statement, begin, "");
  inside("%}");
}

// {% raw %} … {% endraw %}: text, whatever it looks like.
void Lexer::raw() {
  const std::size_t begin = at_;
  for (std::size_t open = text_.find("{%", at_); open != std::string_view::npos;
       open = text_.find("{%", open + 2)) {
    std::size_t i = open + 2;
    const auto skip = [&] {
      while (i < text_.size() && (is_space(text_[i]) || text_[i] == '-' || text_[i] == '+'))
        ++i;
    };
    skip();
    if (!text_.substr(i).starts_with("endraw")) continue;
    i += 6;
    skip();
    if (!text_.substr(i).starts_with("%}")) continue;
    if (open > begin) push(Token::data, begin, std::string(text_.substr(begin, open - begin)));
    at_ = i + 2;
    return;
  }
  complain("a raw block that does not end");
  push(Token::data, begin, std::string(text_.substr(begin)));
  at_ = text_.size();
}

void Lexer::string() {
  const std::size_t begin = at_;
  const char quote = text_[at_++];
  while (at_ < text_.size() && text_[at_] != quote)
    at_ += text_[at_] == '\\' ? 2 : 1;
  at_ = std::min(at_, text_.size());
  const std::string_view inner = text_.substr(begin + 1, at_ - begin - 1);
  if (at_ >= text_.size())
    complain("a string that does not end");
  else
    ++at_;
  push(Token::string, begin, unescape(inner));
}

// One tag. Its end is none while a bracket is open: {{ {'a': {}} }}.
void Lexer::inside(std::string_view close) {
  std::string brackets;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (is_space(c)) {
      ++at_;
      continue;
    }
    if (brackets.empty()) {
      const bool trimmed = (c == '-' || c == '+') && text_.substr(at_ + 1).starts_with(close);
      if (trimmed || at(close)) {
        push(Token::tag_end, at_, "");
        at_ += close.size() + (trimmed ? 1 : 0);
        return;
      }
    }
    const std::size_t begin = at_;
    if (c == '\'' || c == '"') {
      string();
    } else if (is_name_start(c)) {
      while (at_ < text_.size() && is_name(text_[at_]))
        ++at_;
      push(Token::name, begin, std::string(text_.substr(begin, at_ - begin)));
    } else if (is_digit(c)) {
      while (at_ < text_.size() &&
             (is_name(text_[at_]) ||
              (text_[at_] == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))))
        ++at_;
      push(Token::number, begin, std::string(text_.substr(begin, at_ - begin)));
    } else {
      constexpr std::array<std::string_view, 6> k_long{"**", "//", "==", "!=", ">=", "<="};
      std::size_t length = 1;
      for (const std::string_view symbol: k_long)
        if (at(symbol)) length = 2;
      constexpr std::string_view k_known = "+-*/%~[](){}<>=.:|,;!";
      if (k_known.find(c) == std::string_view::npos) complain("a character that no tag has");
      if (c == '(' || c == '[' || c == '{') brackets += c;
      if (c == ')' || c == ']' || c == '}') {
        const char open = c == ')' ? '(' : c == ']' ? '[' : '{';
        if (!brackets.empty() && brackets.back() == open)
          brackets.pop_back();
        else
          complain("a bracket that was not opened");
      }
      at_ += length;
      push(Token::symbol, begin, std::string(text_.substr(begin, length)));
    }
  }
  complain("a tag that does not end");
  push(Token::tag_end, at_, "");
}

} // namespace

std::vector<Lexeme> lex(std::string_view text, std::string& problem) {
  return Lexer(text, problem).run();
}

} // namespace hubgate::jinja
