// Xorbs, ranges of chunks, shards and reconstructions; the first byte chooses.
#include "proxy/xet/reconstruction.hpp"
#include "proxy/xet/xorb.hpp"

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
  switch (data[0] % 5) {
  case 0: {
    const auto xorb = read_xorb(bytes, count);
    check(xorb, total);
    break;
  }
  case 1: {
    const auto xorb = read_chunks(bytes, count);
    check(xorb, total);
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
