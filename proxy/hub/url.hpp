#pragma once
// URLs and request paths, read one way only. What can be read in two ways is refused: encoded
// slashes in a path, double encoding, dot segments, control characters.
#include "scanner/core/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::proxy {

/// Scheme, host (lower case, no brackets) and port.
struct Origin {
  bool tls = true;
  std::string host;
  std::uint16_t port = 443;

  bool operator==(const Origin&) const = default;
  /// "https://host" or "http://host:8080": the default port left out.
  std::string text() const;
  /// For a Host field.
  std::string host_field() const;
};

struct Url {
  Origin origin;
  std::string target; ///< path and query, begins with '/', as it was written

  std::string text() const { return origin.text() + target; }
  /// Without the query, which may be a signature.
  std::string without_query() const;
};

/// Absolute http(s) URLs without user information; printable ASCII only.
Result<Url> parse_url(std::string_view text);

/// `location` seen from `base`: absolute, or beginning with '/'.
Result<Url> resolve(const Url& base, std::string_view location);

struct Target {
  /// Decoded once; no empty, "." or ".." segments and no '/' inside one. A trailing slash is
  /// dropped.
  std::vector<std::string> segments;
  /// The segments as they were sent.
  std::vector<std::string> raw;
  std::string query; ///< without '?', as sent

  /// Joined from segment `from` on, decoded.
  std::string path(std::size_t from = 0) const;
};

/// What a request line asks for; the error says what is wrong. One exception to "no encoded slash":
/// a revision is one segment and may be feature%2Fx. It is taken behind the first word that a
/// revision follows (resolve, tree, commit…), and anywhere when its text begins with "refs/"; it
/// must be a clean path otherwise.
Result<Target> parse_target(std::string_view target);

/// The value of a query parameter, decoded once.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

/// Percent-encodes everything but unreserved characters.
std::string percent_encoded(std::string_view text);

bool is_loopback_host(std::string_view host);

} // namespace hubgate::proxy
