// Reads any bytes as text protobuf to the end or the first error.
#include "scanner/core/textproto.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  MemorySource source(Bytes(data, size));
  TextProtoReader reader(source, 0, size, 4096);
  for (;;) {
    const TextProtoEvent event = reader.next();
    if (event == TextProtoEvent::end || event == TextProtoEvent::error) break;
    if (reader.text().size() > 4096 || reader.depth() > TextProtoReader::k_depth) __builtin_trap();
  }
  if (reader.position() > size + 1) __builtin_trap();
  return 0;
}
