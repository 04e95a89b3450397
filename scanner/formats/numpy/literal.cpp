#include "scanner/formats/numpy/literal.hpp"

namespace hubgate::numpy {
namespace {

constexpr int k_depth = 16;
constexpr std::size_t k_parts = 100'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Parser {
public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Literal> whole() {
    Literal out;
    if (!value(out, 0)) return std::nullopt;
    space();
    if (at_ != text_.size()) return std::nullopt;
    return out;
  }

private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r' || peek() == '\f')
      ++at_;
  }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  bool value(Literal& out, int depth);
  bool string(Literal& out);
  bool number(Literal& out);
  bool sequence(Literal& out, char close, int depth);
  bool hex(int digits, std::uint32_t& out);

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t parts_ = 0;
};

bool Parser::value(Literal& out, int depth) {
  if (depth > k_depth || ++parts_ > k_parts) return false;
  space();
  const char c = peek();
  if (c == '{' || c == '[' || c == '(') {
    ++at_;
    out.kind = c == '{'   ? Literal::Kind::dict
               : c == '[' ? Literal::Kind::list
                          : Literal::Kind::tuple;
    return sequence(out, c == '{' ? '}' : c == '[' ? ']' : ')', depth);
  }
  if (take("True") || take("False")) {
    out.kind = Literal::Kind::boolean;
    out.boolean = c == 'T';
    return true;
  }
  if (take("None")) return true;
  if (is_digit(c) || c == '-' || c == '+') return number(out);
  return string(out);
}

bool Parser::sequence(Literal& out, char close, int depth) {
  const bool dict = close == '}';
  bool comma = false;
  for (;;) {
    space();
    if (peek() == close) break;
    if (!out.items.empty() && !comma) return false;
    Literal item;
    if (!value(item, depth + 1)) return false;
    out.items.push_back(std::move(item));
    space();
    if (dict) {
      if (!take(":")) return false;
      Literal second;
      if (!value(second, depth + 1)) return false;
      out.items.push_back(std::move(second));
      space();
    }
    comma = take(",");
  }
  ++at_;
  // One value in parentheses is that value.
  if (close == ')' && out.items.size() == 1 && !comma) {
    Literal only = std::move(out.items[0]);
    out = std::move(only);
  }
  return true;
}

bool Parser::number(Literal& out) {
  out.kind = Literal::Kind::integer;
  if (take("-"))
    out.negative = true;
  else
    take("+");
  const std::size_t begin = at_;
  while (is_digit(peek())) {
    const auto digit = static_cast<std::uint64_t>(peek() - '0');
    if (__builtin_mul_overflow(out.integer, std::uint64_t{10}, &out.integer) ||
        __builtin_add_overflow(out.integer, digit, &out.integer))
      return false;
    ++at_;
  }
  if (at_ == begin) return false;
  take("L"); // Python 2 wrote long integers so, and numpy strips it
  const char next = peek();
  return next != '.' && next != 'e' && next != 'x' && next != 'j' && next != '_';
}

bool Parser::hex(int digits, std::uint32_t& out) {
  out = 0;
  for (int i = 0; i < digits; ++i) {
    const char c = peek();
    std::uint32_t digit = 0;
    if (is_digit(c))
      digit = static_cast<std::uint32_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    else
      return false;
    out = out * 16 + digit;
    ++at_;
  }
  return true;
}

bool Parser::string(Literal& out) {
  out.kind = Literal::Kind::text;
  if (peek() == 'b' || peek() == 'u') ++at_;
  const char quote = peek();
  if (quote != '\'' && quote != '"') return false;
  ++at_;
  for (;;) {
    if (at_ >= text_.size() || peek() == '\n') return false;
    const char c = text_[at_++];
    if (c == quote) return true;
    if (c != '\\') {
      out.text += c;
      continue;
    }
    if (at_ >= text_.size()) return false;
    const char escape = text_[at_++];
    std::uint32_t code = 0;
    switch (escape) {
    case '\\':
    case '\'':
    case '"':
      out.text += escape;
      break;
    case 'n':
      out.text += '\n';
      break;
    case 't':
      out.text += '\t';
      break;
    case 'r':
      out.text += '\r';
      break;
    case 'x':
    case 'u':
    case 'U':
      if (!hex(escape == 'x' ? 2 : escape == 'u' ? 4 : 8, code)) return false;
      // Only names of fields can hold such characters, and names decide nothing.
      out.text += code < 0x80 ? static_cast<char>(code) : '?';
      break;
    default:
      return false;
    }
  }
}

} // namespace

std::optional<Literal> parse_literal(std::string_view text) {
  return Parser(text).whole();
}

} // namespace hubgate::numpy
