// What comes over the socket, in both directions: every reader takes any bytes, and what it takes
// is written and read back the same.
#include "hook/daemon/wire.hpp"

#include <cstdlib>

namespace {

using namespace hubgate;
using namespace hubgate::daemon;

template <typename Get> void round_trip(Bytes bytes, Get get) {
  Reader in(bytes);
  const auto first = get(in);
  if (!first) return;
  Out out;
  put(out, *first);
  Reader again(out.bytes());
  const auto second = get(again);
  if (!second || !again.at_end()) std::abort();
  Out same;
  put(same, *second);
  if (same.bytes() != out.bytes()) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  if (const auto header = read_header(bytes)) {
    if (header_bytes(*header).size() != Header::k_size) std::abort();
    if (header->length > k_max_answer) std::abort();
  }
  round_trip(bytes, get_report);
  round_trip(bytes, get_analysis);
  round_trip(bytes, get_context);
  round_trip(bytes, get_decision);
  round_trip(bytes, get_key);
  round_trip(bytes, get_oid);
  round_trip(bytes, get_hello);
  round_trip(bytes, get_welcome);
  constexpr std::uint64_t k_memory = 4096;
  round_trip(bytes, [](Reader& in) { return get_items(in, k_memory); });
  Reader in(bytes);
  if (const auto items = get_items(in, k_memory))
    for (const auto& item: *items)
      if (item.offset > k_memory || item.length > k_memory - item.offset) std::abort();
  return 0;
}
