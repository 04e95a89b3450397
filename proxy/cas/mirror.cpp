#include "proxy/cas/mirror.hpp"

#include "proxy/xet/xorb.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

xet::Hash part_name(const Sha256& file, const Mirror::Part& part) {
  const std::string text =
      "hubgate " + hex(file) + " " + std::to_string(part.first) + "+" + std::to_string(part.count);
  return {sha256(as_bytes(text))};
}

} // namespace

std::optional<Mirror> Mirror::make(std::vector<CasPart> parts, const Sha256& sha256,
                                   std::shared_ptr<const KnownChunks> chunks, std::uint64_t begin,
                                   std::uint64_t last) {
  Mirror out;
  out.sha256 = sha256;
  std::size_t next = chunks->at(begin);
  if (next == chunks->size() || chunks->begin_of(next) != begin) return std::nullopt;
  for (CasPart& from: parts) {
    Part part;
    part.first = next;
    for (const xet::ChunkRange& range: from.wanted)
      part.count += range.end - range.begin; // ascending, below 8,192
    if (part.count > chunks->size() - next) return std::nullopt;
    next += part.count;
    part.from = std::move(from);
    out.parts.push_back(std::move(part));
  }
  if (chunks->begin_of(next) <= last) return std::nullopt;
  out.chunks = std::move(chunks);
  return out;
}

std::uint64_t Mirror::stored_at(const Part& part, std::uint32_t chunk) const {
  return chunks->begin_of(part.first + chunk) - chunks->begin_of(part.first) +
         std::uint64_t{chunk} * xet::ChunkHeader::k_size;
}

xet::Reconstruction
Mirror::reconstruction(const ByteRange& range,
                       const std::function<std::string(std::size_t)>& url_of) const {
  xet::Reconstruction out;
  const std::size_t first = chunks->at(range.first);
  const std::size_t end = chunks->at(range.last) + 1;
  out.offset_into_first_range = range.first - chunks->begin_of(first);
  for (std::size_t index = 0; index < parts.size(); ++index) {
    const Part& part = parts[index];
    const std::size_t from = std::max(first, part.first);
    const std::size_t to = std::min(end, part.first + part.count);
    if (from >= to) continue;
    xet::Term term;
    term.xorb = part_name(sha256, part);
    term.bytes = chunks->begin_of(to) - chunks->begin_of(from);
    term.chunks = {static_cast<std::uint32_t>(from - part.first),
                   static_cast<std::uint32_t>(to - part.first)};
    xet::Fetch fetch;
    fetch.url = url_of(index);
    fetch.ranges.push_back(
        {term.chunks, stored_at(part, term.chunks.begin), stored_at(part, term.chunks.end) - 1});
    out.fetches[term.xorb].push_back(std::move(fetch));
    out.terms.push_back(term);
  }
  return out;
}

std::size_t Mirror::weight() const {
  std::size_t out = sizeof *this;
  for (const Part& part: parts)
    out += sizeof part + part.from.url.size() + part.from.wanted.size() * sizeof(xet::ChunkRange);
  return out;
}

} // namespace hubgate::proxy
