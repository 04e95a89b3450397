// A pack without an index. The one that is made finds every object again, under the id that its
// bytes make.
#include "scanner/gitstore/pack_indexer.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  const Bytes bytes{data, size};
  MemorySource source(bytes);
  git::PackReader::Options options;
  options.memory = std::uint64_t{1} << 20;
  options.cache = std::uint64_t{1} << 20;
  const auto made = git::index_pack(source, options, 1000);
  if (!made) return 0;
  const auto index = git::PackIndex::open(*made, git::Oid::k_sha1);
  if (!index) std::abort();
  const auto reader = git::PackReader::open(source, &*index, options);
  if (!reader) std::abort();
  git::ObjectHasher hasher(git::Oid::k_sha1);
  for (std::uint32_t i = 0; i < index->count(); ++i) {
    const auto offset = index->offset(i);
    if (!offset) std::abort();
    const auto object = (*reader)->read(*offset, options.memory);
    if (!object) std::abort();
    if (object->bytes != nullptr && hasher.of(object->header.kind, *object->bytes) != index->oid(i))
      std::abort();
  }
  return 0;
}
