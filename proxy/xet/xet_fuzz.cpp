// Xorbs, ranges of chunks, shards and reconstructions; the first byte chooses. Xorbs that come in
// pieces must be read as those that come at once.
#include "proxy/xet/reconstruction.hpp"
#include "proxy/xet/xorb.hpp"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace hubgate;
using namespace hubgate::xet;

// What is read is within its bounds, and the bytes are those of the chunks.
void check(const Result<Xorb>& xorb, std::uint64_t bytes) {
  if (!xorb) return;
  std::uint64_t sum = 0;
  for (const auto& chunk: xorb->chunks) {
    if (chunk.size == 0 || chunk.size > k_chunk_most) std::abort();
    sum += chunk.size;
  }
  if (sum != bytes || xorb->chunks.size() > k_chunks_most) std::abort();
}

// Fed in pieces of `step` bytes: the same chunks, or an error, as `whole`.
void in_pieces(Bytes bytes, XorbStream::Kind kind, std::size_t step, const Result<Xorb>& whole) {
  XorbStream stream(kind);
  const auto ignore = [](const Chunk&, Bytes) -> Result<void> { return {}; };
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::size_t n = std::min(step, bytes.size() - at);
    if (stream.feed(bytes.subspan(at, n), ignore)) continue;
    if (whole) std::abort();
    return;
  }
  const bool ended = stream.end().ok();
  if (ended != whole.ok()) std::abort();
  if (ended && stream.xorb().chunks != whole->chunks) std::abort();
}

void reconstruction(Bytes bytes, Shape shape) {
  const auto read = read_reconstruction(as_text(bytes), shape);
  if (!read) return;
  const auto again = read_reconstruction(boost::json::serialize(to_json(*read, shape)), shape);
  if (!again || again->bytes() != read->bytes()) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes = Bytes{data, size}.subspan(1);
  std::uint64_t total = 0;
  const auto count = [&](const Chunk&, Bytes raw) -> Result<void> {
    total += raw.size();
    return {};
  };
  const std::size_t step = std::size_t{1} + data[0] / 5 * std::size_t{7};
  switch (data[0] % 5) {
  case 0: {
    const auto xorb = read_xorb(bytes, count);
    check(xorb, total);
    in_pieces(bytes, XorbStream::Kind::xorb, step, xorb);
    break;
  }
  case 1: {
    const auto xorb = read_chunks(bytes, count);
    check(xorb, total);
    in_pieces(bytes, XorbStream::Kind::range, step, xorb);
    break;
  }
  case 2:
    (void)read_shard(bytes);
    break;
  case 3:
    reconstruction(bytes, Shape::v1);
    break;
  default:
    reconstruction(bytes, Shape::v2);
    break;
  }
  return 0;
}
