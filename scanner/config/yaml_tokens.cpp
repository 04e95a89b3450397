// The tokenizer of YamlReader: PyYAML's scanner.py, with its rules for simple keys and indentation.
#include "scanner/config/yaml.hpp"

#include <algorithm>

namespace hubgate::config {
namespace {

constexpr std::size_t k_max_depth = 10'000;  ///< open flow collections and indentations
constexpr std::uint64_t k_key_length = 4096; ///< PyYAML: 1024 characters

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

} // namespace

// Bytes of the line break at `ahead`: \r\n, \r, \n, NEL, LS, PS; 0 = none.
std::size_t YamlReader::break_length(std::size_t ahead) const {
  const char c = peek(ahead);
  if (c == '\n') return 1;
  if (c == '\r') return peek(ahead + 1) == '\n' ? 2 : 1;
  if (c == '\xc2' && peek(ahead + 1) == '\x85') return 2;
  if (c == '\xe2' && peek(ahead + 1) == '\x80' &&
      (peek(ahead + 2) == '\xa8' || peek(ahead + 2) == '\xa9'))
    return 3;
  return 0;
}

bool YamlReader::is_blank_or_end(std::size_t ahead) const {
  return at_end(ahead) || is_blank(peek(ahead)) || break_length(ahead) > 0;
}

// Over `n` bytes of one line. Columns count characters, not bytes.
void YamlReader::forward(std::size_t n) {
  for (; n > 0 && at_ < text_.size(); --n, ++at_)
    if ((static_cast<std::uint8_t>(text_[at_]) & 0xc0) != 0x80) ++column_;
}

std::string YamlReader::line_break() {
  const std::size_t n = break_length();
  if (n == 0) return {};
  at_ += n;
  ++line_;
  column_ = 0;
  return n == 3 ? std::string(text_.substr(at_ - 3, 3)) : "\n";
}

bool YamlReader::document_mark(std::string_view mark) const {
  return column_ == 0 && text_.substr(at_, 3) == mark && is_blank_or_end(3);
}

bool YamlReader::fail(std::string_view message) {
  if (error_.empty()) error_ = message;
  return false;
}

bool YamlReader::need() {
  while (error_.empty() && !done_) {
    if (!tokens_.empty()) {
      if (!drop_stale_keys()) return false;
      const bool waits = first_key_ < keys_.size() && keys_[first_key_].possible &&
                         keys_[first_key_].token == taken_;
      if (!waits) return true;
    }
    if (!fetch()) return false;
  }
  return error_.empty() && !tokens_.empty();
}

YamlReader::Token YamlReader::take() {
  Token token = std::move(tokens_.front());
  tokens_.pop_front();
  ++taken_;
  return token;
}

void YamlReader::add(Kind kind) {
  tokens_.push_back({.kind = kind, .offset = at_});
}

void YamlReader::to_next_token() {
  if (at_ == 0 && text_.starts_with("\xef\xbb\xbf")) at_ = 3;
  for (;;) {
    while (peek() == ' ' || (peek() == '\t' && (keys_.size() > 1 || !allow_key_)))
      forward();
    // A line of tabs alone is blank to most readers.
    if (peek() == '\t') {
      std::size_t n = 0;
      while (is_blank(peek(n)))
        ++n;
      if (is_break_or_end(n) || peek(n) == '#') forward(n);
    }
    if (peek() == '#')
      while (!is_break_or_end())
        forward();
    if (at_end() || break_length() == 0) return;
    line_break();
    if (keys_.size() == 1) allow_key_ = true;
  }
}

// Keys go stale in the order of their levels, so the first possible one is all there is to see.
bool YamlReader::drop_stale_keys() {
  for (; first_key_ < keys_.size(); ++first_key_) {
    SimpleKey& key = keys_[first_key_];
    if (!key.possible) continue;
    if (key.line == line_ && at_ - key.at <= k_key_length) return true;
    if (key.required) return fail("a ':' is missing behind a key");
    key.possible = false;
  }
  first_key_ = keys_.size() - 1;
  return true;
}

bool YamlReader::save_key() {
  if (!allow_key_) return true;
  if (!remove_key()) return false;
  keys_.back() = {.possible = true,
                  .required = keys_.size() == 1 && indent_ == column_,
                  .token = taken_ + tokens_.size(),
                  .at = at_,
                  .line = line_,
                  .column = column_};
  first_key_ = std::min(first_key_, keys_.size() - 1);
  return true;
}

bool YamlReader::remove_key() {
  SimpleKey& key = keys_.back();
  if (key.possible && key.required) return fail("a ':' is missing behind a key");
  key.possible = false;
  return true;
}

void YamlReader::unwind(std::int64_t column) {
  if (keys_.size() > 1) return;
  while (indent_ > column) {
    indent_ = indents_.back();
    indents_.pop_back();
    add(Kind::block_end);
  }
}

bool YamlReader::add_indent(std::int64_t column) {
  if (indent_ >= column) return false;
  indents_.push_back(indent_);
  indent_ = column;
  if (indents_.size() > k_max_depth) fail("nested too deep");
  return true;
}

bool YamlReader::fetch() {
  to_next_token();
  if (!drop_stale_keys()) return false;
  unwind(column_);
  const bool flow = keys_.size() > 1;
  if (at_end()) {
    keys_.resize(1);
    unwind(-1);
    if (!remove_key()) return false;
    allow_key_ = false;
    done_ = true;
    add(Kind::stream_end);
    return true;
  }
  if (document_mark("---")) return fetch_document_mark(Kind::document_start);
  if (document_mark("...")) return fetch_document_mark(Kind::document_end);
  const char c = peek();
  switch (c) {
  case '%':
    if (column_ == 0) return fetch_directive();
    break;
  case '[':
    return fetch_flow_start(Kind::flow_sequence_start);
  case '{':
    return fetch_flow_start(Kind::flow_mapping_start);
  case ']':
    return fetch_flow_end(Kind::flow_sequence_end);
  case '}':
    return fetch_flow_end(Kind::flow_mapping_end);
  case ',':
    allow_key_ = true;
    if (!remove_key()) return false;
    add(Kind::flow_entry);
    forward();
    return true;
  case '-':
    if (is_blank_or_end(1)) return fetch_block_entry();
    break;
  case '?':
    if (is_blank_or_end(1)) return fetch_key();
    break;
  case ':':
    if (flow || is_blank_or_end(1)) return fetch_value();
    break;
  case '*':
    return fetch_name(Kind::alias);
  case '&':
    return fetch_name(Kind::anchor);
  case '!':
    return fetch_tag();
  case '|':
  case '>':
    if (!flow) return fetch_block_scalar(c == '>');
    break;
  case '\'':
  case '"':
    return fetch_quoted(c == '"');
  default:
    break;
  }
  if (can_start_plain()) return fetch_plain();
  return fail("a character that no token begins with");
}

bool YamlReader::fetch_document_mark(Kind kind) {
  keys_.resize(1);
  unwind(-1);
  if (!remove_key()) return false;
  allow_key_ = false;
  add(kind);
  forward(3);
  return true;
}

bool YamlReader::fetch_directive() {
  unwind(-1);
  if (!remove_key()) return false;
  allow_key_ = false;
  Token token{.kind = Kind::directive, .offset = at_};
  forward();
  const bool is_tag = text_.substr(at_, 4) == "TAG " || text_.substr(at_, 4) == "TAG\t";
  if (is_tag) {
    forward(3);
    while (is_blank(peek()))
      forward();
    while (!is_blank_or_end(0)) {
      token.handle += peek();
      forward();
    }
    while (is_blank(peek()))
      forward();
    token.text = tag_uri();
  }
  while (!is_break_or_end())
    forward();
  tokens_.push_back(std::move(token));
  return true;
}

bool YamlReader::fetch_flow_start(Kind kind) {
  if (!save_key()) return false;
  if (keys_.size() > k_max_depth) return fail("nested too deep");
  keys_.emplace_back();
  allow_key_ = true;
  add(kind);
  forward();
  return true;
}

bool YamlReader::fetch_flow_end(Kind kind) {
  if (!remove_key()) return false;
  if (keys_.size() > 1) keys_.pop_back();
  first_key_ = std::min(first_key_, keys_.size() - 1);
  allow_key_ = false;
  add(kind);
  forward();
  return true;
}

bool YamlReader::fetch_block_entry() {
  if (keys_.size() == 1) {
    if (!allow_key_) return fail("an entry of a list is not allowed here");
    if (add_indent(column_)) add(Kind::block_sequence_start);
  }
  allow_key_ = true;
  if (!remove_key()) return false;
  add(Kind::block_entry);
  forward();
  return error_.empty();
}

bool YamlReader::fetch_key() {
  if (keys_.size() == 1) {
    if (!allow_key_) return fail("a key is not allowed here");
    if (add_indent(column_)) add(Kind::block_mapping_start);
  }
  allow_key_ = keys_.size() == 1;
  if (!remove_key()) return false;
  add(Kind::key);
  forward();
  return error_.empty();
}

bool YamlReader::fetch_value() {
  SimpleKey& key = keys_.back();
  if (key.possible) {
    key.possible = false;
    const auto at = static_cast<std::ptrdiff_t>(key.token - taken_);
    tokens_.insert(tokens_.begin() + at, {.kind = Kind::key, .offset = key.at});
    if (keys_.size() == 1 && add_indent(key.column))
      tokens_.insert(tokens_.begin() + at, {.kind = Kind::block_mapping_start, .offset = key.at});
    allow_key_ = false;
  } else {
    if (keys_.size() == 1) {
      if (!allow_key_) return fail("a value is not allowed here");
      if (add_indent(column_)) add(Kind::block_mapping_start);
    }
    allow_key_ = keys_.size() == 1;
    if (!remove_key()) return false;
  }
  add(Kind::value);
  forward();
  return error_.empty();
}

// Anchors and aliases. PyYAML takes letters, digits, '-' and '_'; YAML 1.2 nearly everything.
bool YamlReader::fetch_name(Kind kind) {
  if (!save_key()) return false;
  allow_key_ = false;
  Token token{.kind = kind, .offset = at_};
  forward();
  while (!is_blank_or_end(0)) {
    const char c = peek();
    if (c == ',' || c == '[' || c == ']' || c == '{' || c == '}') break;
    if (c == ':' && (is_blank_or_end(1) || keys_.size() > 1)) break;
    token.text += c;
    forward();
  }
  if (token.text.empty()) return fail("an anchor without a name");
  tokens_.push_back(std::move(token));
  return true;
}

std::string YamlReader::tag_uri(bool verbatim) {
  std::string out;
  const bool flow = keys_.size() > 1 && !verbatim;
  while (!is_blank_or_end(0)) {
    const char c = peek();
    if (c == '>' || c == '{' || c == '}' || (flow && (c == ',' || c == '[' || c == ']'))) break;
    if (c == '%' && hex_value(peek(1)) >= 0 && hex_value(peek(2)) >= 0) {
      out += static_cast<char>(hex_value(peek(1)) * 16 + hex_value(peek(2)));
      forward(3);
      continue;
    }
    out += c;
    forward();
  }
  return out;
}

bool YamlReader::fetch_tag() {
  if (!save_key()) return false;
  allow_key_ = false;
  Token token{.kind = Kind::tag, .offset = at_};
  if (peek(1) == '<') {
    forward(2);
    token.text = tag_uri(true);
    if (peek() != '>') return fail("a tag in brackets has no end");
    forward();
  } else if (is_blank_or_end(1)) {
    token.text = "!";
    forward();
  } else {
    // "!handle!suffix", "!!suffix" or "!suffix".
    std::size_t second = 1;
    while (is_word(peek(second)))
      ++second;
    const std::size_t handle = peek(second) == '!' ? second + 1 : 1;
    token.handle = text_.substr(at_, handle);
    forward(handle);
    token.text = tag_uri();
  }
  tokens_.push_back(std::move(token));
  return true;
}

} // namespace hubgate::config
