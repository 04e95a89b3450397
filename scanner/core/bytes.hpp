#pragma once
// Views of bytes. A view is never stored past the call that received it unless the holder says so.
#include <cstdint>
#include <span>
#include <string_view>

namespace hubgate {

using Bytes = std::span<const std::uint8_t>;

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// True when `bytes` begins with `magic`.
inline bool starts_with(Bytes bytes, std::string_view magic) {
  return as_text(bytes).substr(0, magic.size()) == magic;
}

} // namespace hubgate
