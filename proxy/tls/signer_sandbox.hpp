#pragma once
// What the signer's process may still do once it holds the key: talk on its one socket, and have
// memory. A PKCS#11 module gets what DIR/ca.token grants it, no more: reading below given paths
// (Landlock; files can only be opened for reading), and sockets.
#include "proxy/tls/ca_key.hpp"

namespace hubgate::proxy {

/// `place` null: the key is in this process's memory, and any other call kills. A module's other
/// calls fail with EACCES. Null, or what could not be set up.
const char* enter_signer_sandbox(const TokenPlace* place);

} // namespace hubgate::proxy
