#include "hook/lfs/http.hpp"

#include "scanner/core/evidence.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace hubgate {
namespace {

constexpr std::size_t k_error_body = std::size_t{64} << 10;
constexpr int k_redirects = 4;

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::optional<std::string> part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return std::nullopt;
  std::string out = text;
  curl_free(text);
  return out;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

} // namespace

Result<HttpOrigin> http_origin(const std::string& url) {
  if (has_control(url)) return Error{"a URL has control characters"};
  const std::unique_ptr<CURLU, FreeUrl> parsed(curl_url());
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return Error{"it is no absolute URL"};
  HttpOrigin out;
  out.scheme = part_of(parsed.get(), CURLUPART_SCHEME).value_or("");
  out.host = part_of(parsed.get(), CURLUPART_HOST).value_or("");
  out.port = part_of(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT).value_or("");
  std::transform(out.host.begin(), out.host.end(), out.host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (out.scheme != "http" && out.scheme != "https")
    return Error{"its scheme is not http or https"};
  if (out.host.empty()) return Error{"it names no host"};
  if (part_of(parsed.get(), CURLUPART_USER) || part_of(parsed.get(), CURLUPART_PASSWORD))
    return Error{"it has a user name in it"};
  return out;
}

std::string percent_encoded(std::string_view text, bool keep_slashes) {
  static constexpr std::string_view k_hex = "0123456789ABCDEF";
  std::string out;
  for (const char c: text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '.' || c == '_' || c == '~' || (keep_slashes && c == '/')) {
      out += c;
      continue;
    }
    out += '%';
    out += k_hex[byte >> 4];
    out += k_hex[byte & 15];
  }
  return out;
}

struct HttpClient::Handle {
  Handle() : curl(curl_easy_init()) {}
  ~Handle() { curl_easy_cleanup(curl); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  CURL* curl;
};

// What libcurl's callbacks share.
struct HttpClient::Transfer {
  CURL* curl;
  const Options& options;
  const Take& take;
  std::uint64_t most;
  std::uint64_t got = 0;
  long status = 0;
  std::string error_body;
  std::optional<Error> failed; ///< why a callback ended it

  // No exception may pass through libcurl.
  static std::size_t write(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    try {
      const Bytes bytes(reinterpret_cast<const std::uint8_t*>(data), size * count);
      if (auto taken = transfer.body(bytes); !taken) {
        transfer.failed = taken.error();
        return 0;
      }
      return size * count;
    } catch (const std::exception& error) {
      transfer.failed = Error{error.what()};
      return 0;
    }
  }

  Result<void> body(Bytes bytes) {
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    got += bytes.size();
    if (status != 200) {
      // Of an error only its beginning is read; the rest goes by.
      if (got > 64 * k_error_body) return Error{"its answer to an error has no end"};
      error_body += as_text(bytes.first(std::min(bytes.size(), k_error_body - error_body.size())));
      return {};
    }
    if (got > most) return Error{"it sends more than " + std::to_string(most) + " bytes"};
    return take(bytes);
  }

  static int progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (transfer.options.go_on()) return 0;
    transfer.failed = Error{"it took too long (hook.timeout)"};
    return 1;
  }
};

HttpClient::HttpClient(Options options) : options_(std::move(options)) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

HttpClient::~HttpClient() = default;

bool HttpClient::names(const HttpOrigin& origin) const {
  const std::string usual = origin.scheme == "https" ? "443" : "80";
  return std::any_of(options_.hosts.begin(), options_.hosts.end(), [&](const std::string& host) {
    return host == origin.host + ":" + origin.port || (host == origin.host && origin.port == usual);
  });
}

Result<HttpReply> HttpClient::once(Handle& handle, const HttpRequest& request, std::uint64_t most,
                                   const Take& take, std::string& redirect) {
  CURL* curl = handle.curl;
  curl_easy_reset(curl); // keeps the connections
  Transfer transfer{curl, options_, take, most, 0, 0, {}, {}};
  std::unique_ptr<curl_slist, FreeList> headers;
  const auto add = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    if (longer != nullptr) {
      (void)headers.release();
      headers.reset(longer);
    }
    return longer != nullptr;
  };
  for (const auto& [name, value]: request.headers) {
    if (has_control(name) || has_control(value)) return Error{"a header has control characters"};
    if (!add(name + ": " + value)) return Error{"out of memory"};
  }
  // No question whether the body may come: it is small.
  if (!request.post.empty() && !add("Expect:")) return Error{"out of memory"};

  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options_.ca.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, options_.ca.c_str());
    curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  }
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, options_.connect_seconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, options_.stall_seconds);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "hubgate");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  if (!request.post.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.post.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.post.data());
  }
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::write);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);

  const CURLcode code = curl_easy_perform(curl);
  if (transfer.failed) return *transfer.failed;
  // Not CURLOPT_ERRORBUFFER: its text may repeat the URL.
  if (code != CURLE_OK) return Error{curl_easy_strerror(code)};
  HttpReply reply;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
  reply.body = std::move(transfer.error_body);
  char* location = nullptr;
  curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location);
  redirect = location == nullptr ? "" : location;
  return reply;
}

Result<HttpReply> HttpClient::send(const HttpRequest& request, std::uint64_t most,
                                   const Take& take) {
  std::unique_ptr<Handle> handle;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      handle = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!handle) handle = std::make_unique<Handle>();
  if (handle->curl == nullptr) return Error{"libcurl can't be set up"};

  HttpRequest current = request;
  HttpOrigin origin = HUBGATE_TRY(http_origin(current.url));
  for (int hop = 0; hop <= k_redirects; ++hop) {
    std::string redirect;
    HttpReply reply = HUBGATE_TRY(once(*handle, current, most, take, redirect));
    const bool redirects = reply.status == 301 || reply.status == 302 || reply.status == 303 ||
                           reply.status == 307 || reply.status == 308;
    if (!redirects || redirect.empty()) {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(handle));
      return reply;
    }
    if (!current.post.empty()) return Error{"it redirects a POST"};
    const HttpOrigin next = HUBGATE_TRY(http_origin(redirect));
    if (!(next == origin)) {
      if (!names(next))
        return Error{"it redirects to " + printable(next.host + ":" + next.port, 200) +
                     ", which is not among its hosts"};
      if (origin.scheme == "https" && next.scheme != "https")
        return Error{"it redirects from https to http"};
      current.headers.clear();
    }
    current.url = redirect;
    origin = next;
  }
  return Error{"it redirects in circles"};
}

} // namespace hubgate
