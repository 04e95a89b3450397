// The first byte chooses: a delta, in pieces and at once; a loose object; the head of an entry.
#include "scanner/gitstore/loose.hpp"

#include <cstdlib>

namespace {

using namespace hubgate;

bool run_delta(Bytes delta, std::size_t piece, std::vector<std::uint8_t>& out) {
  const std::vector<std::uint8_t> base(100, 'b');
  auto sizes = git::read_delta_sizes(delta);
  if (!sizes || sizes->base != base.size() || sizes->result > (1u << 20)) return false;
  git::DeltaReader reader(
      *sizes,
      [&](std::uint64_t offset, std::uint64_t length) {
        const Bytes part = Bytes(base).subspan(offset, length);
        if (part.size() != length) std::abort();
        out.insert(out.end(), part.begin(), part.end());
        return true;
      },
      [&](Bytes bytes) {
        out.insert(out.end(), bytes.begin(), bytes.end());
        return true;
      });
  for (Bytes rest = delta.subspan(sizes->length); !rest.empty();) {
    const std::size_t n = std::min(piece, rest.size());
    if (!reader.feed(rest.first(n))) return false;
    if (out.size() > sizes->result) std::abort();
    rest = rest.subspan(n);
  }
  if (reader.complete() && out.size() != sizes->result) std::abort();
  return reader.complete();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes = Bytes{data, size}.subspan(1);
  switch (data[0] % 3) {
  case 0: {
    std::vector<std::uint8_t> whole;
    std::vector<std::uint8_t> pieces;
    const bool good = run_delta(bytes, size, whole);
    if (run_delta(bytes, 1 + data[0] % 7, pieces) != good) std::abort();
    if (good && whole != pieces) std::abort();
    break;
  }
  case 1: {
    MemorySource source(bytes);
    std::uint64_t made = 0;
    const auto header = git::loose_header(source);
    const auto done = git::stream_loose(source, [&](Bytes piece) {
      made += piece.size();
      return true;
    });
    if (done && (!header || made != header->size)) std::abort();
    break;
  }
  case 2:
    if (const auto entry = git::read_pack_entry(bytes, 1000, git::Oid::k_sha1))
      if (entry->data <= 1000 || entry->data > 1000 + bytes.size() || entry->base >= 1000)
        std::abort();
    break;
  default:
    break;
  }
  return 0;
}
