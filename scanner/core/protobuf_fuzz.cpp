// Walks any bytes as protobuf, every length-delimited field as a message too, a few levels deep.
#include "scanner/core/protobuf.hpp"

namespace {

void walk(hubgate::ProtoReader reader, int levels) {
  using namespace hubgate;
  std::uint64_t last = reader.position();
  ProtoField field;
  while (reader.next(field)) {
    if (reader.position() <= last || field.end < field.begin || field.end > reader.position())
      __builtin_trap();
    last = reader.position();
    if (field.wire != ProtoWire::bytes && field.wire != ProtoWire::group) continue;
    if (reader.text(field, 16).size() > 16) __builtin_trap();
    if (levels > 0) walk(reader.inside(field), levels - 1);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  for (const std::uint64_t end: {std::uint64_t{size}, ~std::uint64_t{0}}) {
    MemorySource source(Bytes(data, size));
    ProtoInput input(source);
    walk(ProtoReader(input, 0, end), 4);
    ProtoReader packed(input, 0, end);
    while (packed.packed_varint()) {
    }
  }
  return 0;
}
