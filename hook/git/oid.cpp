#include "hook/git/oid.hpp"

namespace hubgate::git {

std::string Oid::hex() const {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * k_size);
  for (const std::uint8_t byte: bytes) {
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

std::optional<Oid> Oid::from_hex(std::string_view text) {
  if (text.size() != 2 * k_size) return std::nullopt;
  Oid out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    unsigned digit = 0;
    if (c >= '0' && c <= '9')
      digit = static_cast<unsigned>(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = static_cast<unsigned>(c - 'a') + 10;
    else
      return std::nullopt;
    auto& byte = out.bytes[i / 2];
    byte = static_cast<std::uint8_t>((byte << 4) | digit);
  }
  return out;
}

} // namespace hubgate::git
