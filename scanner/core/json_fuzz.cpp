// Reads any bytes as JSON in both dialects, to the end or the first error.
#include "scanner/core/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  for (const auto dialect: {JsonOptions::Dialect::strict, JsonOptions::Dialect::python}) {
    MemorySource source(Bytes(data, size));
    JsonReader json(source, 0, size, {.dialect = dialect, .depth = 16, .text_bytes = 4096});
    for (;;) {
      const JsonEvent event = json.next();
      if (event == JsonEvent::number) (void)json.as_u64();
      if (event == JsonEvent::key && json.text() == "skip" && !json.skip_value()) break;
      if (event == JsonEvent::end || event == JsonEvent::error) break;
    }
    if (json.position() > size) __builtin_trap();
  }
  return 0;
}
