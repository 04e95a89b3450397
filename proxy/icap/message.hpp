#pragma once
// Heads of ICAP messages (RFC 3507, 4.3 and 4.4): what is asked, and where the HTTP heads and the
// body lie that are wrapped in it. Checked as strictly as heads of HTTP.
#include "proxy/http/head.hpp"

namespace hubgate::proxy::icap {

/// Both wrapped heads together.
inline constexpr std::size_t k_max_heads = 2 * k_max_head;
inline constexpr std::size_t k_max_preview = std::size_t{64} << 10;

enum class Method { options, request, response };

struct Head {
  Method method = Method::options;
  std::string service; ///< the path of the URI, with its first slash
  Headers headers;
  bool keep_alive = true;
  bool allows_204 = false;              ///< outside of a preview
  std::optional<std::uint64_t> preview; ///< bytes of the body that come before we have to say more
  /// Bytes of the wrapped heads; 0 = there is none.
  std::size_t request_head = 0;
  std::size_t response_head = 0;
  bool has_body = false;
};

/// `text`: everything up to and including the empty line. The error says what is wrong.
Result<Head> parse_head(std::string_view text);

} // namespace hubgate::proxy::icap
