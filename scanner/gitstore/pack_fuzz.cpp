// A pack and its index in one input: u16 length of the index, the index, the pack. Whatever comes
// out of the pack has the size that was announced, and is the same whole and in pieces.
#include "scanner/gitstore/pack.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  if (size < 2) return 0;
  const std::size_t split = std::min<std::size_t>(data[0] * 256u + data[1], size - 2);
  const Bytes index_bytes{data + 2, split};
  const Bytes pack_bytes{data + 2 + split, size - 2 - split};
  const auto index = git::PackIndex::open(index_bytes, git::Oid::k_sha1);
  std::vector<std::uint64_t> offsets{git::k_pack_head};
  if (index)
    for (std::uint32_t i = 0; i < std::min(index->count(), 64u); ++i) {
      (void)index->find(index->oid(i));
      if (const auto offset = index->offset(i)) offsets.push_back(*offset);
    }
  MemorySource source(pack_bytes);
  git::PackReader::Options options;
  options.memory = std::uint64_t{1} << 20;
  options.cache = std::uint64_t{1} << 20;
  const auto reader = git::PackReader::open(source, index ? &*index : nullptr, options);
  if (!reader) return 0;
  for (const std::uint64_t offset: offsets) {
    const auto header = (*reader)->header(offset);
    const auto object = (*reader)->read(offset, options.memory);
    if (!object || object->bytes == nullptr) continue;
    if (!header || header->size != object->bytes->size() || header->kind != object->header.kind)
      std::abort();
    std::vector<std::uint8_t> streamed;
    const auto done = (*reader)->stream(offset, [&](Bytes piece) {
      streamed.insert(streamed.end(), piece.begin(), piece.end());
      return true;
    });
    if (!done || streamed != *object->bytes) std::abort();
  }
  return 0;
}
