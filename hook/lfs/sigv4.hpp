#pragma once
// AWS Signature Version 4 for a GET without a query, as S3 and the stores that speak like it want
// it ("Authenticating Requests: Using the Authorization Header", Amazon S3 API reference).
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hubgate {

struct S3Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token; ///< "" = none
};

struct S3Request {
  std::string host; ///< as in the Host header
  std::string path; ///< percent-encoded, from the first slash
  std::string region;
  std::vector<std::pair<std::string, std::string>> headers; ///< more to sign, names in lower case
  std::int64_t time = 0;                                    ///< seconds since 1970
};

/// The headers to send with it: Authorization, x-amz-*, and request.headers.
std::vector<std::pair<std::string, std::string>> sign_s3_get(const S3Request& request,
                                                             const S3Credentials& credentials);

} // namespace hubgate
