#include "proxy/relay/range.hpp"

#include "proxy/http/head.hpp"
#include "scanner/core/digest.hpp"

#include <algorithm>

namespace hubgate::proxy {

Wanted parse_range(std::optional<std::string_view> field, std::uint64_t size) {
  Wanted out;
  if (!field || !field->starts_with("bytes=")) return out;
  const std::string_view spec = trimmed(field->substr(6));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return out;
  const auto first_text = spec.substr(0, dash);
  const auto last_text = spec.substr(dash + 1);
  const auto first = parse_decimal(first_text);
  const auto last = parse_decimal(last_text);
  if ((!first && !first_text.empty()) || (!last && !last_text.empty())) return out;
  if (!first && !last) return out;
  out.kind = RangeKind::unsatisfiable;
  if (!first) { // the last N bytes
    if (*last == 0 || size == 0) return out;
    out.kind = RangeKind::part;
    out.range = {size - std::min(*last, size), size - 1};
    return out;
  }
  if (last && *last < *first) { // no range at all
    out.kind = RangeKind::whole;
    return out;
  }
  if (*first >= size) return out;
  out.kind = RangeKind::part;
  out.range = {*first, last ? std::min(*last, size - 1) : size - 1};
  return out;
}

ByteRange BlockSpan::bytes(std::uint64_t size) const {
  return {first * k_block_size, std::min((last + 1) * k_block_size, size) - 1};
}

BlockSpan covering_blocks(const ByteRange& range) {
  return {range.first / k_block_size, range.last / k_block_size};
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
  return "bytes " + std::to_string(range.first) + "-" + std::to_string(range.last) + "/" +
         std::to_string(size);
}

std::optional<ContentRange> parse_content_range(std::string_view field) {
  if (!field.starts_with("bytes ")) return std::nullopt;
  field.remove_prefix(6);
  const std::size_t dash = field.find('-');
  const std::size_t slash = field.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash)
    return std::nullopt;
  const auto first = parse_decimal(field.substr(0, dash));
  const auto last = parse_decimal(field.substr(dash + 1, slash - dash - 1));
  const auto total = parse_decimal(field.substr(slash + 1));
  if (!first || !last || !total || *last < *first || *last >= *total) return std::nullopt;
  return ContentRange{ByteRange{*first, *last}, *total};
}

} // namespace hubgate::proxy
