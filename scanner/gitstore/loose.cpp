#include "scanner/gitstore/loose.hpp"

#include <algorithm>

namespace hubgate::git {
namespace {

/// "commit", a blank, twenty digits, NUL: all that a header can be.
constexpr std::size_t k_head = 28;
constexpr std::size_t k_piece = std::size_t{128} << 10;

struct Head {
  ObjectHeader header;
  std::size_t length = 0;
};

std::optional<Head> parse(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  const std::size_t blank = text.find(' ');
  const std::size_t nul = text.find('\0');
  if (blank == text.npos || nul == text.npos || nul < blank + 2 || nul >= k_head)
    return std::nullopt;
  const auto kind = kind_from(text.substr(0, blank));
  const std::string_view digits = text.substr(blank + 1, nul - blank - 1);
  if (!kind || (digits.size() > 1 && digits.front() == '0') || digits.size() > 19)
    return std::nullopt;
  Head out;
  out.header.kind = *kind;
  out.length = nul + 1;
  for (const char c: digits) {
    if (c < '0' || c > '9') return std::nullopt;
    out.header.size = out.header.size * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return out;
}

Error broken(std::string_view what) {
  return Error{"a loose object " + std::string(what)};
}

} // namespace

Result<ObjectHeader> loose_header(Source& file) {
  Inflater inflater;
  std::array<std::uint8_t, k_head> head{};
  inflater.begin(file, 0, file.wait_end());
  const auto parsed = parse(Bytes(head).first(inflater.produce(head)));
  if (!parsed) return broken("has no valid header");
  return parsed->header;
}

Result<void> stream_loose(Source& file, const PackReader::Sink& sink) {
  Inflater inflater;
  inflater.begin(file, 0, file.wait_end());
  std::vector<std::uint8_t> piece(k_piece);
  std::size_t n = inflater.produce(piece);
  const auto parsed = parse(Bytes(piece).first(n));
  if (!parsed) return broken("has no valid header");
  Bytes bytes = Bytes(piece).first(n).subspan(parsed->length);
  std::uint64_t left = parsed->header.size;
  while (true) {
    if (bytes.size() > left) return broken("is longer than it says");
    left -= bytes.size();
    if (!bytes.empty() && !sink(bytes)) return Error{"nobody wants the object any more"};
    if (inflater.state() != Inflater::State::more) break;
    n = inflater.produce(piece);
    bytes = Bytes(piece).first(n);
  }
  if (inflater.state() != Inflater::State::done) return broken(to_string(inflater.state()));
  if (inflater.position() != file.wait_end()) return broken("has bytes behind its end");
  if (left != 0) return broken("is shorter than it says");
  return {};
}

} // namespace hubgate::git
