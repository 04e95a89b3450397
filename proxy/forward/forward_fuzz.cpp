// What strangers write before anybody has authenticated them: CONNECT targets, the first TLS record
// and the PROXY protocol. Each is read the same however its bytes are cut, and never past its end.
#include "proxy/forward/hello.hpp"
#include "proxy/forward/hosts.hpp"
#include "proxy/forward/proxy_protocol.hpp"

#include <cstdlib>

namespace {

using namespace hubgate;
using namespace hubgate::proxy;

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  const auto hello = read_hello(bytes);
  const auto header = read_proxy_header(bytes);
  if (header.kind == ProxyHeader::Kind::complete && header.size > size) std::abort();
  if (size < 2048) {
    for (std::size_t n = 0; n < size; ++n) {
      const auto shorter = read_hello(bytes.first(n));
      if (shorter.kind == Hello::Kind::none && hello.kind != Hello::Kind::none) std::abort();
      if (shorter.kind == Hello::Kind::complete && shorter.server_name != hello.server_name)
        std::abort();
      const auto part = read_proxy_header(bytes.first(n));
      if (part.kind != ProxyHeader::Kind::incomplete &&
          (part.kind != header.kind || part.size != header.size || part.client != header.client))
        std::abort();
    }
  }
  const auto authority = parse_authority(as_text(bytes));
  if (authority) {
    const auto again = parse_authority(authority->text());
    if (!again || again->text() != authority->text() || again->is_address != authority->is_address)
      std::abort();
  }
  (void)Network::parse(as_text(bytes));
  return 0;
}
