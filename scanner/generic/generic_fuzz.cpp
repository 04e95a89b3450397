// The generic scan with no format at all: whatever the bytes are, they fall to it.
#include "scanner/core/session.hpp"
#include "scanner/generic/text_value.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  MemorySource source(Bytes(data, size));
  Limits limits;
  limits.decoded_bytes = std::uint64_t{4} << 20;
  limits.entries = 1000;
  scan_object({}, source, limits, nullptr);
  const auto hit = find_script(as_text(Bytes(data, size)));
  if (hit && hit->offset + hit->length > size) __builtin_trap();
  return 0;
}
