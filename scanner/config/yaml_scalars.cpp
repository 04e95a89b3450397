// Scalars of YamlReader: plain, quoted and block, folded as PyYAML's scanner.py does.
#include "scanner/config/yaml.hpp"

#include <algorithm>

namespace hubgate::config {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_point(std::string& out, std::uint32_t point) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte & 0xff); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xc0 | (point >> 6));
    put(0x80 | (point & 63));
  } else if (point < 0x10000) {
    put(0xe0 | (point >> 12));
    put(0x80 | ((point >> 6) & 63));
    put(0x80 | (point & 63));
  } else {
    put(0xf0 | ((point >> 18) & 7));
    put(0x80 | ((point >> 12) & 63));
    put(0x80 | ((point >> 6) & 63));
    put(0x80 | (point & 63));
  }
}

} // namespace

void YamlReader::block_breaks(std::int64_t indent, std::string& breaks) {
  breaks.clear();
  while (column_ < indent && peek() == ' ')
    forward();
  while (break_length() > 0) {
    breaks += line_break();
    while (column_ < indent && peek() == ' ')
      forward();
  }
}

bool YamlReader::fetch_block_scalar(bool folded) {
  allow_key_ = true;
  if (!remove_key()) return false;
  Token token{.kind = Kind::scalar, .offset = at_};
  forward();
  char chomping = 0;
  std::int64_t increment = 0;
  for (int i = 0; i < 2; ++i) {
    if (peek() == '+' || peek() == '-')
      chomping = peek();
    else if (peek() >= '1' && peek() <= '9')
      increment = peek() - '0';
    else
      break;
    forward();
  }
  while (is_blank(peek()))
    forward();
  if (peek() == '#')
    while (!is_break_or_end())
      forward();
  if (!is_break_or_end()) return fail("text behind the head of a block");
  line_break();
  std::string breaks;
  std::int64_t indent = std::max<std::int64_t>(indent_ + 1, 1);
  if (increment > 0) {
    indent += increment - 1;
    block_breaks(indent, breaks);
  } else {
    std::int64_t most = 0;
    while (peek() == ' ' || break_length() > 0) {
      if (peek() == ' ')
        forward();
      else
        breaks += line_break();
      most = std::max(most, column_);
    }
    indent = std::max(indent, most);
  }
  std::string last;
  std::string& out = token.text;
  while (column_ == indent && !at_end()) {
    out += breaks;
    const bool text_line = !is_blank(peek());
    while (!is_break_or_end()) {
      out += peek();
      forward();
    }
    last = line_break();
    block_breaks(indent, breaks);
    if (column_ != indent || at_end()) break;
    if (folded && last == "\n" && text_line && !is_blank(peek())) {
      if (breaks.empty()) out += ' ';
    } else {
      out += last;
    }
  }
  if (chomping != '-') out += last;
  if (chomping == '+') out += breaks;
  tokens_.push_back(std::move(token));
  return true;
}

bool YamlReader::escape(std::string& out) {
  forward(); // the backslash
  const char c = peek();
  static constexpr std::string_view k_names = "0abt\tnvfre \"\\/N_LP";
  static constexpr std::string_view k_characters("\0\a\b\t\t\n\v\f\r\x1b \"\\/", 14);
  if (at_end()) return fail("the text ends inside quotes");
  const std::size_t length = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (length > 0) {
    forward();
    std::uint32_t point = 0;
    for (std::size_t i = 0; i < length; ++i, forward()) {
      const int digit = hex_value(peek());
      if (digit < 0) return fail("an escape without its digits");
      point = point * 16 + static_cast<std::uint32_t>(digit);
    }
    append_point(out, std::min<std::uint32_t>(point, 0x10ffff));
    return true;
  }
  if (break_length() > 0) {
    line_break();
    while (is_blank(peek()) || break_length() > 0)
      break_length() > 0 ? static_cast<void>(out += line_break()) : forward();
    return true;
  }
  const std::size_t at = k_names.find(c);
  if (at == std::string_view::npos) return fail("an unknown escape");
  forward();
  if (at < k_characters.size())
    out += k_characters[at];
  else
    append_point(out, c == 'N' ? 0x85 : c == '_' ? 0xa0 : c == 'L' ? 0x2028 : 0x2029);
  return true;
}

bool YamlReader::quoted_spaces(std::string& out) {
  std::string blanks;
  while (is_blank(peek())) {
    blanks += peek();
    forward();
  }
  if (at_end()) return fail("the text ends inside quotes");
  if (break_length() == 0) {
    out += blanks;
    return true;
  }
  const std::string first = line_break();
  std::string breaks;
  for (;;) {
    if (document_mark("---") || document_mark("...")) return fail("a document ends inside quotes");
    while (is_blank(peek()))
      forward();
    if (break_length() == 0) break;
    breaks += line_break();
  }
  if (first != "\n")
    out += first;
  else if (breaks.empty())
    out += ' ';
  out += breaks;
  return true;
}

bool YamlReader::fetch_quoted(bool is_double) {
  if (!save_key()) return false;
  allow_key_ = false;
  Token token{.kind = Kind::scalar, .offset = at_};
  std::string& out = token.text;
  forward();
  for (;;) {
    if (at_end()) return fail("the text ends inside quotes");
    const char c = peek();
    if (is_blank(c) || break_length() > 0) {
      if (!quoted_spaces(out)) return false;
    } else if (is_double && c == '\\') {
      if (!escape(out)) return false;
    } else if (!is_double && c == '\'' && peek(1) == '\'') {
      out += '\'';
      forward(2);
    } else if (c == (is_double ? '"' : '\'')) {
      forward();
      tokens_.push_back(std::move(token));
      return true;
    } else {
      out += c;
      forward();
    }
  }
}

bool YamlReader::can_start_plain() const {
  static constexpr std::string_view k_indicators = "-?:,[]{}#&*!|>'\"%@`\t";
  const char c = peek();
  if (k_indicators.find(c) == std::string_view::npos) return true;
  return !is_blank_or_end(1) && (c == '-' || c == '?' || (keys_.size() == 1 && c == ':'));
}

// Blanks and line breaks behind a piece of a plain scalar; false where the scalar ends with them.
bool YamlReader::plain_spaces(std::string& out) {
  std::string blanks;
  while (is_blank(peek())) {
    blanks += peek();
    forward();
  }
  if (break_length() == 0) {
    out = blanks;
    return !blanks.empty();
  }
  const std::string first = line_break();
  allow_key_ = true;
  std::string breaks;
  for (;;) {
    if (document_mark("---") || document_mark("...")) return false;
    if (peek() == ' ' || (peek() == '\t' && keys_.size() > 1)) {
      forward();
      continue;
    }
    if (break_length() == 0) break;
    breaks += line_break();
  }
  out.clear();
  if (first != "\n")
    out += first;
  else if (breaks.empty())
    out += ' ';
  out += breaks;
  return true;
}

bool YamlReader::fetch_plain() {
  if (!save_key()) return false;
  allow_key_ = false;
  Token token{.kind = Kind::scalar, .offset = at_, .plain = true};
  const bool flow = keys_.size() > 1;
  const std::int64_t indent = indent_ + 1;
  std::string spaces;
  for (;;) {
    if (peek() == '#') break;
    std::size_t n = 0;
    for (; !is_blank_or_end(n); ++n) {
      const char c = peek(n);
      const auto flow_mark = [](char mark) {
        return mark == ',' || mark == '[' || mark == ']' || mark == '{' || mark == '}';
      };
      if (c == ':' && (is_blank_or_end(n + 1) || (flow && flow_mark(peek(n + 1))))) break;
      if (flow && flow_mark(c)) break;
    }
    if (n == 0) break;
    allow_key_ = false;
    token.text += spaces;
    token.text += text_.substr(at_, n);
    forward(n);
    if (!plain_spaces(spaces)) break;
    if (peek() == '#' || (!flow && column_ < indent)) break;
  }
  tokens_.push_back(std::move(token));
  return true;
}

} // namespace hubgate::config
