#include "scanner/core/textproto.hpp"

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::size_t k_window = std::size_t{64} << 10;
constexpr int k_nothing = -1;

bool is_letter(int c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(int c) {
  return c >= '0' && c <= '9';
}
int hex_value(int c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

} // namespace

TextProtoReader::TextProtoReader(Source& source, std::uint64_t begin, std::uint64_t end,
                                 std::size_t text_bytes)
    : source_(source), at_(begin), end_(end), text_bytes_(text_bytes), token_(begin) {}

int TextProtoReader::peek() {
  if (at_ >= window_begin_ && at_ - window_begin_ < window_.size())
    return window_[static_cast<std::size_t>(at_ - window_begin_)];
  if (at_ >= end_) return k_nothing;
  const Bytes bytes =
      source_.view(at_, static_cast<std::size_t>(std::min<std::uint64_t>(k_window, end_ - at_)));
  if (bytes.empty()) return k_nothing;
  window_.assign(bytes.begin(), bytes.end());
  window_begin_ = at_;
  return window_[0];
}

void TextProtoReader::skip_space() {
  for (int c = peek(); c != k_nothing; c = peek()) {
    if (c == '#') {
      while (c != k_nothing && c != '\n') {
        advance();
        c = peek();
      }
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') {
      advance();
    } else {
      return;
    }
  }
}

TextProtoEvent TextProtoReader::fail(TextProtoFailure failure) {
  if (failure_ == TextProtoFailure::none)
    failure_ = peek() == k_nothing && failure == TextProtoFailure::malformed
                   ? TextProtoFailure::truncated
                   : failure;
  return TextProtoEvent::error;
}

bool TextProtoReader::append(char c) {
  if (text_.size() >= text_bytes_) {
    fail(TextProtoFailure::limit);
    return false;
  }
  text_ += c;
  return true;
}

// A name, or "[" name of an extension or type URL "]".
bool TextProtoReader::field_name() {
  name_.clear();
  int c = peek();
  if (c == '[') {
    do {
      name_ += static_cast<char>(c);
      advance();
      c = peek();
      if (c == k_nothing || c == '\n' || name_.size() > 4096) return false;
    } while (c != ']');
    name_ += ']';
    advance();
    return true;
  }
  if (!is_letter(c)) return false;
  while ((is_letter(c) || is_digit(c)) && name_.size() < 4096) {
    name_ += static_cast<char>(c);
    advance();
    c = peek();
  }
  return true;
}

bool TextProtoReader::escape() {
  const int c = peek();
  if (c == k_nothing) return false;
  advance();
  switch (c) {
  case 'n':
    return append('\n');
  case 'r':
    return append('\r');
  case 't':
    return append('\t');
  case 'a':
    return append('\a');
  case 'b':
    return append('\b');
  case 'f':
    return append('\f');
  case 'v':
    return append('\v');
  case '\\':
  case '\'':
  case '"':
  case '?':
    return append(static_cast<char>(c));
  case 'x':
  case 'X': {
    int value = hex_value(peek());
    if (value < 0) return false;
    advance();
    if (const int low = hex_value(peek()); low >= 0) {
      value = value * 16 + low;
      advance();
    }
    return append(static_cast<char>(value));
  }
  case 'u':
  case 'U': {
    std::uint32_t point = 0;
    for (int i = 0; i < (c == 'u' ? 4 : 8); ++i) {
      const int digit = hex_value(peek());
      if (digit < 0) return false;
      point = point * 16 + static_cast<std::uint32_t>(digit);
      advance();
    }
    if (point > 0x10ffff) return false;
    if (point < 0x80) return append(static_cast<char>(point));
    const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    constexpr std::uint8_t k_lead[] = {0, 0xc0, 0xe0, 0xf0};
    if (!append(static_cast<char>(k_lead[more] | (point >> (6 * more))))) return false;
    for (int i = more - 1; i >= 0; --i)
      if (!append(static_cast<char>(0x80 | ((point >> (6 * i)) & 0x3f)))) return false;
    return true;
  }
  default:
    break;
  }
  if (c < '0' || c > '7') return false;
  int value = c - '0';
  for (int i = 0; i < 2 && peek() >= '0' && peek() <= '7'; ++i) {
    value = value * 8 + (peek() - '0');
    advance();
  }
  return append(static_cast<char>(value & 0xff));
}

// One or more quoted strings, which are one.
bool TextProtoReader::string() {
  quoted_ = true;
  for (;;) {
    const int quote = peek();
    advance();
    for (int c = peek(); c != quote; c = peek()) {
      if (c == k_nothing || c == '\n') return false;
      advance();
      if (c == '\\' ? !escape() : !append(static_cast<char>(c))) return false;
    }
    advance();
    skip_space();
    if (peek() != '"' && peek() != '\'') return true;
  }
}

// A number, boolean or enumerator, as it stands.
bool TextProtoReader::word() {
  quoted_ = false;
  int c = peek();
  if (c == '-') {
    text_ += '-';
    advance();
    skip_space();
    c = peek();
  }
  if (!is_letter(c) && !is_digit(c) && c != '.') return false;
  while (is_letter(c) || is_digit(c) || c == '.' || c == '+' || c == '-') {
    if (!append(static_cast<char>(c))) return false;
    advance();
    c = peek();
  }
  return true;
}

TextProtoEvent TextProtoReader::open(char c, bool in_list) {
  if (frames_.size() >= k_depth) return fail(TextProtoFailure::limit);
  advance();
  frames_.push_back({c == '{' ? '}' : '>', in_list, name_});
  list_ = false;
  return TextProtoEvent::message_begin;
}

TextProtoEvent TextProtoReader::value(bool in_list) {
  skip_space();
  text_.clear();
  const int c = peek();
  if (c == '{' || c == '<') return open(static_cast<char>(c), in_list);
  list_ = in_list;
  const bool good = c == '"' || c == '\'' ? string() : word();
  return good ? TextProtoEvent::scalar : fail(TextProtoFailure::malformed);
}

TextProtoEvent TextProtoReader::next() {
  if (failure_ != TextProtoFailure::none) return TextProtoEvent::error;
  for (;;) {
    skip_space();
    int c = peek();
    if (c == ',' || (c == ';' && !list_)) {
      advance();
      continue;
    }
    token_ = at_;
    if (list_) {
      if (c != ']') return value(/*in_list=*/true);
      advance();
      list_ = false;
      continue;
    }
    if (c == k_nothing)
      return frames_.empty() ? TextProtoEvent::end : fail(TextProtoFailure::truncated);
    if (!frames_.empty() && c == frames_.back().close) {
      advance();
      name_ = std::move(frames_.back().name);
      list_ = frames_.back().in_list;
      frames_.pop_back();
      return TextProtoEvent::message_end;
    }
    if (!field_name()) return fail(TextProtoFailure::malformed);
    skip_space();
    c = peek();
    if (c == ':') {
      advance();
      skip_space();
      c = peek();
    } else if (c != '{' && c != '<' && c != '[') {
      return fail(TextProtoFailure::malformed);
    }
    if (c == '[') {
      advance();
      list_ = true;
      continue;
    }
    return value(/*in_list=*/false);
  }
}

} // namespace hubgate
