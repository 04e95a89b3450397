#pragma once
// Writing a text as a JSON string: what another syntax carried, judged as JSON.
#include <string>
#include <string_view>

namespace hubgate {

/// Appends `text` with its quotes; bytes above 0x7f are left as they are.
inline void append_json_text(std::string& out, std::string_view text) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  out += '"';
  for (const char c: text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\';
    if (byte >= 0x20) {
      out += c;
    } else {
      out += "\\u00";
      out += k_digits[byte >> 4];
      out += k_digits[byte & 15];
    }
  }
  out += '"';
}

} // namespace hubgate
