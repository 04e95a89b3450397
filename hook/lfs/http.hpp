#pragma once
// A small HTTP client for the hook, on libcurl: where LFS objects come from that are in no folder.
// Only http and https, certificates checked, no proxies, no cookies, no netrc. Redirects are
// followed here and not by libcurl: to hosts that were named, without the request's headers when
// the origin changes, and never from https to http. Everything that comes back is bounded.
#include "scanner/core/bytes.hpp"
#include "scanner/core/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hubgate {

/// Scheme, host and port of a URL, as libcurl reads it.
struct HttpOrigin {
  std::string scheme; ///< "http" or "https"
  std::string host;   ///< lower case
  std::string port;   ///< always there
  bool operator==(const HttpOrigin&) const = default;
};

/// An error names what is wrong; it does not repeat the URL, which may be signed. User names and
/// fragments in a URL are errors.
Result<HttpOrigin> http_origin(const std::string& url);

/// `text` with everything but letters, digits, "-._~" and (if `keep_slashes`) "/" as %XX.
std::string percent_encoded(std::string_view text, bool keep_slashes);

struct HttpRequest {
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string post; ///< not empty: a POST with this body; else a GET
};

struct HttpReply {
  long status = 0;
  std::string body; ///< of every status but 200, at most its first 64 KiB
};

class HttpClient {
public:
  struct Options {
    std::string ca;                 ///< file with certificates to trust instead of the system's
    std::vector<std::string> hosts; ///< "host" or "host:port" that redirects may lead to
    long connect_seconds = 10;
    long stall_seconds = 30; ///< ends a transfer that moves nothing for so long
    /// Asked every second or so: false ends the transfer.
    std::function<bool()> go_on = [] { return true; };
  };
  using Take = std::function<Result<void>(Bytes)>;

  explicit HttpClient(Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Sends it and hands the body of a 200 to `take`. An error when no complete answer came, when it
  /// has more than `most` bytes, or when `take` fails. Thread-safe.
  Result<HttpReply> send(const HttpRequest& request, std::uint64_t most, const Take& take);

  /// Whether the origin is among `hosts`.
  bool names(const HttpOrigin& origin) const;

private:
  struct Handle;
  struct Transfer;
  Result<HttpReply> once(Handle& handle, const HttpRequest& request, std::uint64_t most,
                         const Take& take, std::string& redirect);

  Options options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_; ///< with their connections
};

} // namespace hubgate
