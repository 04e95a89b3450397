#include "scanner/formats/pickle/literals.hpp"

#include <charconv>
#include <cstdint>
#include <optional>

namespace hubgate::pickle {
namespace {

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | (c >> 6));
    put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | ((c >> 18) & 7));
    put(0x80 | ((c >> 12) & 0x3f));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  }
}

// Up to `n` hexadecimal digits at the front of `text`.
std::optional<std::uint32_t> hex_digits(std::string_view text, std::size_t n) {
  if (text.size() < n) return std::nullopt;
  text = text.substr(0, n);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), value, 16);
  if (error != std::errc() || end != text.end()) return std::nullopt;
  return value;
}

} // namespace

// The escapes of a Python 2 string literal (STRING): what codecs.escape_decode takes.
std::string unescape_string(std::string_view in) {
  std::string out;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i] != '\\' || i + 1 == in.size()) {
      out += in[i];
      continue;
    }
    const char c = in[++i];
    switch (c) {
    case '\n':
      break;
    case 'n':
      out += '\n';
      break;
    case 't':
      out += '\t';
      break;
    case 'r':
      out += '\r';
      break;
    case 'a':
      out += '\a';
      break;
    case 'b':
      out += '\b';
      break;
    case 'f':
      out += '\f';
      break;
    case 'v':
      out += '\v';
      break;
    case '\\':
    case '\'':
    case '"':
      out += c;
      break;
    case 'x':
      if (const auto value = hex_digits(in.substr(i + 1), 2)) {
        out += static_cast<char>(*value);
        i += 2;
        break;
      }
      out += "\\x";
      break;
    default:
      if (c >= '0' && c <= '7') {
        unsigned value = 0;
        std::size_t n = 0;
        while (n < 3 && i + n < in.size() && in[i + n] >= '0' && in[i + n] <= '7')
          value = value * 8 + static_cast<unsigned>(in[i + n++] - '0');
        i += n - 1;
        out += static_cast<char>(value & 0xff);
      } else {
        out += '\\';
        out += c;
      }
    }
  }
  return out;
}

// UNICODE lines are raw-unicode-escape: Latin-1 with \uXXXX and \UXXXXXXXX.
std::string unescape_raw_unicode(std::string_view in) {
  std::string out;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i] == '\\' && i + 1 < in.size() && (in[i + 1] == 'u' || in[i + 1] == 'U')) {
      const std::size_t n = in[i + 1] == 'u' ? 4 : 8;
      if (const auto value = hex_digits(in.substr(i + 2), n); value && *value <= 0x10ffff) {
        append_utf8(out, *value);
        i += 1 + n;
        continue;
      }
    }
    append_utf8(out, static_cast<std::uint8_t>(in[i]));
  }
  return out;
}

} // namespace hubgate::pickle
