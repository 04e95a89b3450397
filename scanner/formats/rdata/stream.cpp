#include "scanner/formats/rdata/stream.hpp"

#include <charconv>

namespace hubgate::rdata {
namespace {

bool is_space(std::uint8_t c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

} // namespace

std::optional<std::string> Stream::word() {
  std::string out;
  for (;;) {
    const auto byte = in_.take(1);
    if (!byte) return out.empty() ? std::nullopt : std::optional(out);
    if (!is_space((*byte)[0])) {
      out += static_cast<char>((*byte)[0]);
      if (out.size() > 100) return std::nullopt;
    } else if (!out.empty()) {
      return out;
    }
  }
}

std::optional<std::int32_t> Stream::integer() {
  switch (encoding_) {
  case Encoding::xdr:
    return in_.be<std::int32_t>();
  case Encoding::native:
    return in_.le<std::int32_t>();
  case Encoding::text:
    break;
  }
  const auto text = word();
  if (!text) return std::nullopt;
  if (*text == "NA") return INT32_MIN;
  std::int32_t value = 0;
  const auto result = std::from_chars(text->data(), text->data() + text->size(), value);
  if (result.ec != std::errc() || result.ptr != text->data() + text->size()) return std::nullopt;
  return value;
}

bool Stream::skip_doubles(std::uint64_t count) {
  if (encoding_ != Encoding::text) return count <= (~std::uint64_t{0} >> 4) && in_.skip(count * 8);
  for (std::uint64_t i = 0; i < count; ++i)
    if (!word()) return false;
  return true;
}

bool Stream::skip_integers(std::uint64_t count) {
  if (encoding_ != Encoding::text) return count <= (~std::uint64_t{0} >> 4) && in_.skip(count * 4);
  return skip_doubles(count);
}

bool Stream::skip_bytes(std::uint64_t count) {
  return encoding_ == Encoding::text ? skip_doubles(count) : in_.skip(count);
}

std::optional<std::string> Stream::string(std::uint64_t length, std::size_t keep) {
  std::string out;
  if (encoding_ != Encoding::text) {
    const std::uint64_t end = in_.position() + length;
    while (out.size() < keep && in_.position() < end) {
      const auto piece = in_.take(static_cast<std::size_t>(
          std::min<std::uint64_t>({4096, end - in_.position(), keep - out.size()})));
      if (!piece) return std::nullopt;
      out += as_text(*piece);
    }
    if (!in_.skip(end - in_.position())) return std::nullopt;
    return out;
  }
  // Blanks, then characters with C's escapes.
  const auto next = [&]() -> int {
    const auto byte = in_.take(1);
    return byte ? (*byte)[0] : -1;
  };
  int c = next();
  while (c >= 0 && is_space(static_cast<std::uint8_t>(c)))
    c = next();
  for (std::uint64_t i = 0; i < length; ++i) {
    if (c < 0) return std::nullopt;
    if (c == '\\') {
      c = next();
      if (c >= '0' && c <= '7') {
        for (int digits = 1; digits < 3; ++digits) {
          const auto peek = in_.take(1);
          if (!peek) return std::nullopt;
          if ((*peek)[0] < '0' || (*peek)[0] > '7') {
            in_.seek(in_.position() - 1);
            break;
          }
        }
        c = '?';
      }
    }
    if (out.size() < keep) out += static_cast<char>(c);
    if (i + 1 < length) c = next();
  }
  return out;
}

} // namespace hubgate::rdata
