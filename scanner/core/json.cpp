#include "scanner/core/json.hpp"

#include <algorithm>

namespace hubgate {
namespace {

constexpr int k_none = -1;

// FNV-1a with a final mix. Equal keys always meet; two unlike keys that meet are one false alarm
// in 2^64, or made on purpose by whoever wants to be called suspicious.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c: text)
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  hash ^= hash >> 32;
  return hash * 0x9e3779b97f4a7c15;
}

bool is_digit(int c) {
  return c >= '0' && c <= '9';
}

} // namespace

JsonReader::JsonReader(Source& source, std::uint64_t begin, std::uint64_t end, JsonOptions options)
    : source_(source), at_(begin), end_(end), options_(options), token_(begin) {}

// The byte at at_, or k_none at the end. The window is a copy: whoever handles an event may read
// the source.
int JsonReader::peek() {
  if (at_ - window_begin_ < window_.size())
    return window_[static_cast<std::size_t>(at_ - window_begin_)];
  if (at_ >= end_) return k_none;
  const Bytes bytes = source_.view(
      at_, static_cast<std::size_t>(std::min<std::uint64_t>(options_.window, end_ - at_)));
  if (bytes.empty()) return k_none;
  window_.assign(bytes.begin(), bytes.end());
  window_begin_ = at_;
  return window_[0];
}

void JsonReader::skip_space() {
  for (int c = peek(); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek())
    advance();
}

JsonEvent JsonReader::fail(JsonFailure failure, std::string_view message) {
  if (failure_ == JsonFailure::none) {
    failure_ = failure;
    error_ = message;
  }
  return JsonEvent::error;
}

void JsonReader::after_value() {
  expect_ = frames_.empty() ? Expect::finished : Expect::separator;
}

JsonEvent JsonReader::next() {
  if (failure_ != JsonFailure::none) return JsonEvent::error;
  if (expect_ == Expect::finished) {
    token_ = at_;
    return JsonEvent::end;
  }
  if (expect_ == Expect::value && frames_.empty() &&
      options_.dialect == JsonOptions::Dialect::python && peek() == 0xef) {
    for (const int byte: {0xef, 0xbb, 0xbf}) {
      if (peek() != byte) return fail(JsonFailure::malformed, "not a JSON value");
      advance();
    }
  }
  skip_space();
  int c = peek();
  if (expect_ == Expect::separator && c == ',') {
    advance();
    expect_ = frames_.back().object ? Expect::key : Expect::value;
    skip_space();
    c = peek();
  } else if (expect_ == Expect::separator && c != k_none && c != '}' && c != ']') {
    return fail(JsonFailure::malformed, "',' or the end of the object or array is missing");
  }
  token_ = at_;
  if (c == k_none) return fail(JsonFailure::truncated, "the JSON text ends inside a value");
  if (expect_ == Expect::separator) return close(c == '}');
  if (expect_ == Expect::first_key || expect_ == Expect::key) {
    if (c == '}' && expect_ == Expect::first_key) return close(/*object=*/true);
    if (c != '"') return fail(JsonFailure::malformed, "a key in quotes is missing");
    if (!string()) return JsonEvent::error;
    if (keys_.size() >= options_.keys) return fail(JsonFailure::limit, "too many keys");
    keys_.push_back({hash_of(text_), token_});
    skip_space();
    const int colon = peek();
    if (colon == k_none) return fail(JsonFailure::truncated, "the JSON text ends behind a key");
    if (colon != ':') return fail(JsonFailure::malformed, "':' behind a key is missing");
    advance();
    expect_ = Expect::colon_done;
    return JsonEvent::key;
  }
  if (expect_ == Expect::first_element && c == ']') return close(/*object=*/false);
  return value(c);
}

JsonEvent JsonReader::close(bool object) {
  if (frames_.empty() || frames_.back().object != object)
    return fail(JsonFailure::malformed, "brackets don't match");
  advance();
  if (object) settle_keys(frames_.back().keys);
  frames_.pop_back();
  after_value();
  return object ? JsonEvent::object_end : JsonEvent::array_end;
}

// Sorted once at the end of the object: linear memory, and no hash table to be attacked.
void JsonReader::settle_keys(std::size_t from) {
  const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(from);
  std::sort(begin, keys_.end(), [](const Key& a, const Key& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.offset < b.offset;
  });
  for (std::size_t i = from + 1; i < keys_.size(); ++i) {
    if (keys_[i].hash != keys_[i - 1].hash) continue;
    if (duplicates_ == 0 || keys_[i].offset < first_duplicate_) first_duplicate_ = keys_[i].offset;
    ++duplicates_;
  }
  keys_.resize(from);
}

JsonEvent JsonReader::value(int c) {
  switch (c) {
  case '{':
  case '[':
    if (frames_.size() >= options_.depth) return fail(JsonFailure::limit, "nested too deep");
    advance();
    frames_.push_back({c == '{', keys_.size()});
    expect_ = c == '{' ? Expect::first_key : Expect::first_element;
    return c == '{' ? JsonEvent::object_begin : JsonEvent::array_begin;
  case '"':
    if (!string()) return JsonEvent::error;
    after_value();
    return JsonEvent::string;
  case 't':
    return literal("true", JsonEvent::boolean);
  case 'f':
    return literal("false", JsonEvent::boolean);
  case 'n':
    return literal("null", JsonEvent::null);
  case 'N':
    if (options_.dialect == JsonOptions::Dialect::python) return literal("NaN", JsonEvent::number);
    break;
  case 'I':
    if (options_.dialect == JsonOptions::Dialect::python)
      return literal("Infinity", JsonEvent::number);
    break;
  default:
    if (c == '-' || is_digit(c)) return number();
  }
  return fail(JsonFailure::malformed, "not a JSON value");
}

JsonEvent JsonReader::literal(std::string_view word, JsonEvent event) {
  text_.clear();
  for (const char expected: word) {
    const int c = peek();
    if (c == k_none) return fail(JsonFailure::truncated, "the JSON text ends inside a value");
    if (c != expected) return fail(JsonFailure::malformed, "not a JSON value");
    text_ += expected;
    advance();
  }
  after_value();
  return event;
}

JsonEvent JsonReader::number() {
  text_.clear();
  const auto digits = [this] {
    std::size_t count = 0;
    for (int c = peek(); is_digit(c) && text_.size() < options_.text_bytes; c = peek(), ++count) {
      text_ += static_cast<char>(c);
      advance();
    }
    return count;
  };
  if (peek() == '-') {
    text_ += '-';
    advance();
    if (peek() == 'I' && options_.dialect == JsonOptions::Dialect::python)
      return literal("Infinity", JsonEvent::number);
  }
  const bool zero = peek() == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1))
    return fail(whole == 0 && peek() == k_none ? JsonFailure::truncated : JsonFailure::malformed,
                "not a JSON number");
  if (peek() == '.') {
    text_ += '.';
    advance();
    if (digits() == 0) return fail(JsonFailure::malformed, "not a JSON number");
  }
  if (peek() == 'e' || peek() == 'E') {
    text_ += 'e';
    advance();
    if (peek() == '+' || peek() == '-') {
      text_ += static_cast<char>(peek());
      advance();
    }
    if (digits() == 0) return fail(JsonFailure::malformed, "not a JSON number");
  }
  if (is_digit(peek())) return fail(JsonFailure::limit, "a number is too long");
  after_value();
  return JsonEvent::number;
}

bool JsonReader::append(std::string_view bytes) {
  if (bytes.size() > options_.text_bytes - std::min(text_.size(), options_.text_bytes)) {
    fail(JsonFailure::limit, "a string is too long");
    return false;
  }
  text_ += bytes;
  return true;
}

bool JsonReader::append_code_point(std::uint32_t point) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value & 0xff); };
  std::string out;
  if (point < 0x80) {
    out = {byte(point)};
  } else if (point < 0x800) {
    out = {byte(0xc0 | (point >> 6)), byte(0x80 | (point & 63))};
  } else if (point < 0x10000) {
    out = {byte(0xe0 | (point >> 12)), byte(0x80 | ((point >> 6) & 63)), byte(0x80 | (point & 63))};
  } else {
    out = {byte(0xf0 | (point >> 18)), byte(0x80 | ((point >> 12) & 63)),
           byte(0x80 | ((point >> 6) & 63)), byte(0x80 | (point & 63))};
  }
  return append(out);
}

std::optional<std::uint32_t> JsonReader::hex4() {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const int c = peek();
    if (c == k_none) {
      fail(JsonFailure::truncated, "the JSON text ends inside a string");
      return std::nullopt;
    }
    const int digit = is_digit(c)            ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : k_none;
    if (digit == k_none) {
      fail(JsonFailure::malformed, "\\u without four hexadecimal digits");
      return std::nullopt;
    }
    value = value * 16 + static_cast<std::uint32_t>(digit);
    advance();
  }
  return value;
}

bool JsonReader::unicode() {
  auto point = hex4();
  if (!point) return false;
  // A high surrogate takes its low one with it; what follows a lone one is read on its own.
  while (*point >= 0xd800 && *point < 0xdc00 && peek() == '\\') {
    advance();
    if (peek() != 'u') {
      if (options_.dialect == JsonOptions::Dialect::strict) break;
      return append_code_point(*point) && escape();
    }
    advance();
    const auto low = hex4();
    if (!low) return false;
    if (*low >= 0xdc00 && *low < 0xe000)
      return append_code_point(0x10000 + ((*point - 0xd800) << 10) + (*low - 0xdc00));
    if (options_.dialect == JsonOptions::Dialect::strict) break;
    if (!append_code_point(*point)) return false;
    point = low;
  }
  if (*point >= 0xd800 && *point < 0xe000 && options_.dialect == JsonOptions::Dialect::strict) {
    fail(JsonFailure::malformed, "a lone surrogate");
    return false;
  }
  return append_code_point(*point);
}

// At the byte behind the backslash.
bool JsonReader::escape() {
  const int c = peek();
  if (c == k_none) {
    fail(JsonFailure::truncated, "the JSON text ends inside a string");
    return false;
  }
  advance();
  switch (c) {
  case '"':
    return append("\"");
  case '\\':
    return append("\\");
  case '/':
    return append("/");
  case 'b':
    return append("\b");
  case 'f':
    return append("\f");
  case 'n':
    return append("\n");
  case 'r':
    return append("\r");
  case 't':
    return append("\t");
  case 'u':
    return unicode();
  default:
    fail(JsonFailure::malformed, "an unknown escape in a string");
    return false;
  }
}

bool JsonReader::multibyte(int first) {
  const int count = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  // Shortest forms only, no surrogates, nothing beyond U+10FFFF (RFC 3629).
  int low = 0x80;
  int high = 0xbf;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  bool good = first >= 0xc2 && first <= 0xf4;
  std::string out{static_cast<char>(first)};
  advance();
  for (int i = 0; i < count && good; ++i) {
    const int c = peek();
    if (c == k_none) {
      fail(JsonFailure::truncated, "the JSON text ends inside a string");
      return false;
    }
    good = c >= low && c <= high;
    if (!good) break;
    out += static_cast<char>(c);
    advance();
    low = 0x80;
    high = 0xbf;
  }
  if (!good) {
    fail(JsonFailure::malformed, "a string is not UTF-8");
    return false;
  }
  return append(out);
}

bool JsonReader::string() {
  text_.clear();
  advance(); // the quote
  for (;;) {
    const int c = peek();
    if (c == k_none) {
      fail(JsonFailure::truncated, "the JSON text ends inside a string");
      return false;
    }
    if (c == '"') {
      advance();
      return true;
    }
    if (c == '\\') {
      advance();
      if (!escape()) return false;
      continue;
    }
    if (c < 0x20) {
      fail(JsonFailure::malformed, "a control character in a string");
      return false;
    }
    if (c >= 0x80) {
      if (!multibyte(c)) return false;
      continue;
    }
    // The run of plain bytes that the window holds.
    const auto from = static_cast<std::size_t>(at_ - window_begin_);
    std::size_t to = from;
    while (to < window_.size() && window_[to] >= 0x20 && window_[to] < 0x80 && window_[to] != '"' &&
           window_[to] != '\\')
      ++to;
    if (!append(as_text(Bytes(window_).subspan(from, to - from)))) return false;
    at_ += to - from;
  }
}

bool JsonReader::skip_value() {
  const std::size_t outer = frames_.size();
  for (;;) {
    switch (next()) {
    case JsonEvent::error:
    case JsonEvent::end:
      return false;
    case JsonEvent::key:
    case JsonEvent::object_begin:
    case JsonEvent::array_begin:
      break;
    default:
      if (frames_.size() <= outer) return true;
    }
  }
}

std::optional<std::uint64_t> JsonReader::as_u64() const {
  if (text_.empty() || text_.size() > 20) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c: text_) {
    if (!is_digit(c)) return std::nullopt;
    std::uint64_t scaled = 0;
    if (__builtin_mul_overflow(value, std::uint64_t{10}, &scaled) ||
        __builtin_add_overflow(scaled, static_cast<std::uint64_t>(c - '0'), &value))
      return std::nullopt;
  }
  return value;
}

} // namespace hubgate
