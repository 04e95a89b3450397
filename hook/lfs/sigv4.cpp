#include "hook/lfs/sigv4.hpp"

#include "scanner/core/bytes.hpp"
#include "scanner/core/digest.hpp"

#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace hubgate {
namespace {

constexpr std::string_view k_algorithm = "AWS4-HMAC-SHA256";
/// sha256 of no bytes: the request has no body.
constexpr std::string_view k_no_body =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string hmac(std::string_view key, std::string_view text) {
  std::array<unsigned char, 32> out{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size);
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string hex_of(std::string_view bytes) {
  static constexpr std::string_view k_hex = "0123456789abcdef";
  std::string out;
  for (const char c: bytes) {
    out += k_hex[static_cast<unsigned char>(c) >> 4];
    out += k_hex[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string in_utc(std::int64_t time, const char* format) {
  const auto seconds = static_cast<std::time_t>(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> out{};
  return {out.data(), std::strftime(out.data(), out.size(), format, &parts)};
}

} // namespace

std::vector<std::pair<std::string, std::string>> sign_s3_get(const S3Request& request,
                                                             const S3Credentials& credentials) {
  const std::string date = in_utc(request.time, "%Y%m%d");
  const std::string moment = in_utc(request.time, "%Y%m%dT%H%M%SZ");
  auto headers = request.headers;
  headers.emplace_back("x-amz-content-sha256", k_no_body);
  headers.emplace_back("x-amz-date", moment);
  if (!credentials.session_token.empty())
    headers.emplace_back("x-amz-security-token", credentials.session_token);
  auto signed_headers = headers;
  signed_headers.emplace_back("host", request.host);
  std::sort(signed_headers.begin(), signed_headers.end());

  std::string names;
  std::string canonical = "GET\n" + request.path + "\n\n";
  for (const auto& [name, value]: signed_headers) {
    canonical += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  canonical += "\n" + names + "\n" + std::string(k_no_body);

  const std::string scope = date + "/" + request.region + "/s3/aws4_request";
  const std::string to_sign = std::string(k_algorithm) + "\n" + moment + "\n" + scope + "\n" +
                              hex(sha256(as_bytes(canonical)));
  std::string key = hmac("AWS4" + credentials.secret_key, date);
  for (const std::string& part: {request.region, std::string("s3"), std::string("aws4_request")})
    key = hmac(key, part);
  headers.emplace_back("Authorization", std::string(k_algorithm) +
                                            " Credential=" + credentials.access_key + "/" + scope +
                                            ", SignedHeaders=" + names +
                                            ", Signature=" + hex_of(hmac(key, to_sign)));
  return headers;
}

} // namespace hubgate
