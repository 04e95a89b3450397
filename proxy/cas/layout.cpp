#include "proxy/cas/layout.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

xet::Hash xorb_name(const Sha256& file, std::uint64_t index) {
  const std::string text = "hubgate " + hex(file) + " " + std::to_string(index);
  return {sha256(as_bytes(text))};
}

} // namespace

std::uint64_t CutFile::stored_bytes(std::uint64_t index) const {
  const std::uint64_t raw = std::min(k_cut_xorb, size - index * k_cut_xorb);
  const std::uint64_t chunks = (raw + k_cut_chunk - 1) / k_cut_chunk;
  return raw + chunks * xet::ChunkHeader::k_size;
}

ByteRange CutFile::file_bytes(std::uint64_t index, const ByteRange& stored) const {
  const std::uint64_t begin = index * k_cut_xorb;
  const std::uint64_t first = begin + stored.first / k_cut_stored * k_cut_chunk;
  const std::uint64_t end = begin + (stored.last / k_cut_stored + 1) * k_cut_chunk;
  return {first, std::min(end, size) - 1};
}

std::uint64_t CutFile::stored_at(std::uint64_t offset) {
  return offset % k_cut_xorb / k_cut_chunk * k_cut_stored;
}

xet::Reconstruction
CutFile::reconstruction(const ByteRange& range,
                        const std::function<std::string(std::uint64_t)>& url_of) const {
  xet::Reconstruction out;
  out.offset_into_first_range = range.first % k_cut_chunk;
  for (std::uint64_t index = range.first / k_cut_xorb; index <= range.last / k_cut_xorb; ++index) {
    const std::uint64_t begin = index * k_cut_xorb;
    const std::uint64_t end = std::min(begin + k_cut_xorb, size);
    const std::uint64_t first = std::max(range.first, begin) / k_cut_chunk * k_cut_chunk;
    const std::uint64_t last = std::min(range.last, end - 1) / k_cut_chunk * k_cut_chunk;
    const std::uint64_t raw_end = std::min(last + k_cut_chunk, end);
    const auto chunk = [&](std::uint64_t offset) {
      return static_cast<std::uint32_t>((offset - begin) / k_cut_chunk);
    };
    xet::Term term;
    term.xorb = xorb_name(sha256, index);
    term.bytes = raw_end - first;
    term.chunks = {chunk(first), chunk(last) + 1};
    xet::Fetch fetch;
    fetch.url = url_of(index);
    const std::uint64_t stored_end = stored_at(last) + xet::ChunkHeader::k_size + raw_end - last;
    fetch.ranges.push_back({term.chunks, stored_at(first), stored_end - 1});
    out.fetches[term.xorb].push_back(std::move(fetch));
    out.terms.push_back(term);
  }
  return out;
}

void append_stored(Bytes bytes, std::vector<std::uint8_t>& out) {
  while (!bytes.empty()) {
    const auto n = std::min<std::size_t>(bytes.size(), k_cut_chunk);
    const auto low = static_cast<std::uint8_t>(n & 0xff);
    const auto middle = static_cast<std::uint8_t>(n >> 8 & 0xff);
    const auto high = static_cast<std::uint8_t>(n >> 16 & 0xff);
    out.insert(out.end(), {0, low, middle, high, 0, low, middle, high});
    out.insert(out.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    bytes = bytes.subspan(n);
  }
}

} // namespace hubgate::proxy
