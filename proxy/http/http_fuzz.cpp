// Heads and chunked bodies from any peer: whatever comes, a body is framed in one way, and the same
// way however the bytes are cut.
#include "proxy/http/chunks.hpp"
#include "proxy/http/head.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

namespace {

using namespace hubgate;
using namespace hubgate::proxy;

struct Decoded {
  std::string body;
  std::size_t used = 0;
  bool done = false;
  bool failed = false;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(Bytes bytes, std::size_t piece, std::size_t room) {
  ChunkDecoder decoder;
  Decoded out;
  std::array<std::uint8_t, 64> buffer;
  while (out.used < bytes.size() && !decoder.done() && !decoder.failed()) {
    const Bytes part = bytes.subspan(out.used, std::min(piece, bytes.size() - out.used));
    const auto step = decoder.decode(part, std::span(buffer).first(room));
    out.body.append(reinterpret_cast<const char*>(buffer.data()), step.produced);
    out.used += step.consumed;
    if (step.consumed == 0 && step.produced == 0) std::abort();
  }
  out.done = decoder.done();
  out.failed = decoder.failed();
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  const std::string_view text = as_text(bytes);
  if (const std::size_t end = head_end(text, 0)) {
    const auto request = parse_request(text.substr(0, end));
    if (request && request->headers.has("transfer-encoding") &&
        request->headers.has("content-length"))
      std::abort();
    (void)parse_response(text.substr(0, end), false);
    (void)parse_response(text.substr(0, end), true);
  }
  if (!(decode(bytes, size + 1, 64) == decode(bytes, 1, 1))) std::abort();
  if (!(decode(bytes, 7, 3) == decode(bytes, 1, 64))) std::abort();
  return 0;
}
