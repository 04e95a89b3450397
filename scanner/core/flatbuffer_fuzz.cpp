// Descends into any bytes as a flatbuffer: each field as number, table, string and vectors.
#include "scanner/core/flatbuffer.hpp"

namespace {

using namespace hubgate;

void walk(Flatbuffer& buffer, const FlatTable& table, int levels) {
  for (std::uint16_t id = 0; id < table.slots && id < 32; ++id) {
    if (buffer.failure() == FlatFailure::limit) return;
    (void)buffer.number<std::uint64_t>(table, id, 0);
    if (const auto text = buffer.string(table, id, 64); text && text->size() > 64) __builtin_trap();
    if (levels == 0) continue;
    if (const auto inner = buffer.table(table, id)) walk(buffer, *inner, levels - 1);
    const auto tables = buffer.vector(table, id, 4);
    for (std::uint32_t i = 0; tables && i < tables->count && i < 8; ++i) {
      (void)buffer.string_at(*tables, i, 64);
      if (const auto inner = buffer.table_at(*tables, i)) walk(buffer, *inner, levels - 1);
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  MemorySource source(Bytes(data, size));
  for (const std::uint64_t claimed: {std::uint64_t{size}, std::uint64_t{size} * 2 + 64}) {
    Flatbuffer buffer(source, 0, claimed, 100'000);
    if (const auto root = buffer.root()) walk(buffer, *root, 4);
    if (buffer.reached() > claimed) __builtin_trap();
  }
  return 0;
}
