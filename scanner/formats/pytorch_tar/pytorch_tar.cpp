// torch 0.1.1's tar: members sys_info, pickle, storages, tensors (torch/serialization.py,
// legacy_load). The tar format scans the members, pytorch-legacy accounts for the raw bytes in two
// of them; this names what they are together.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::uint64_t k_block = 512;
constexpr std::size_t k_max_members = 64; ///< torch writes four

constexpr std::array<std::string_view, 4> k_members{"sys_info", "pickle", "storages", "tensors"};

std::string_view name_of(Bytes header) {
  std::string_view name = as_text(header.first(100));
  name = name.substr(0, name.find('\0'));
  return name.starts_with("./") ? name.substr(2) : name;
}

bool is_member(std::string_view name) {
  return std::find(k_members.begin(), k_members.end(), name) != k_members.end();
}

bool is_header(Bytes block) {
  return block.size() == k_block && starts_with(block.subspan(257), "ustar");
}

Claim probe(const Probe& probe) {
  return probe.head.size() >= k_block && is_header(probe.head.first(k_block)) ? Claim::yes
                                                                              : Claim::no;
}

// Octal, as tar writes it; anything else ends the walk.
std::optional<std::uint64_t> size_of(Bytes header) {
  std::uint64_t size = 0;
  bool any = false;
  for (const std::uint8_t c: header.subspan(124, 12)) {
    if (c == ' ' || c == 0) {
      if (any) break;
      continue;
    }
    if (c < '0' || c > '7') return std::nullopt;
    size = size * 8 + (c - '0');
    any = true;
  }
  return any ? std::optional<std::uint64_t>(size) : std::nullopt;
}

Reading scan(Source& source, Session& session) {
  std::uint64_t at = 0;
  std::size_t seen = 0;
  std::size_t known = 0;
  for (; seen < k_max_members; ++seen) {
    const Bytes header = source.view(at, k_block);
    if (!is_header(header)) break;
    known += is_member(name_of(header)) ? 1 : 0;
    const auto size = size_of(header);
    if (!size) break;
    at += k_block + (*size + k_block - 1) / k_block * k_block;
  }
  // A loader asks for these by name; other members don't disturb it.
  if (known < k_members.size() - 1) return Reading::none;
  session.ends_at(at);
  return Reading::valid;
}

} // namespace

extern const Format format_pytorch_tar;
const Format format_pytorch_tar{"pytorch-tar", "tar", probe, scan, {}};

} // namespace hubgate
