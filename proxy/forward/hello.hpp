#pragma once
// The first bytes that a client sends through CONNECT: the server name of its TLS ClientHello (RFC
// 8446, 4.1.2; RFC 6066, 3), read before anybody answers. Hostile bytes: everything is bounded.
#include "scanner/core/bytes.hpp"

#include <string>

namespace hubgate::proxy {

/// A ClientHello that is larger is none (those with post-quantum keys have about 2 KiB).
inline constexpr std::size_t k_max_hello = std::size_t{16} << 10;

struct Hello {
  enum class Kind {
    incomplete, ///< a beginning of one: come again with more
    none,       ///< these bytes begin no TLS handshake, or a broken one
    complete,
  };
  Kind kind = Kind::incomplete;
  std::string server_name; ///< lower case, without a final dot; "" when none was sent
};

/// Reads a ClientHello, which may lie in several records, from the first bytes of a connection.
Hello read_hello(Bytes bytes);

} // namespace hubgate::proxy
