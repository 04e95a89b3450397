#pragma once
// An S3-compatible store: GET URL/BUCKET/KEY, signed where there are credentials.
#include "hook/lfs/sigv4.hpp"
#include "hook/lfs/web.hpp"

namespace hubgate {

class LfsS3 : public LfsSource {
public:
  LfsS3(LfsSourceConfig config, LfsWorld world, std::string repo_id, std::uint64_t max_size);
  std::string name() const override;
  Result<Judge::Fetched> fetch(const LfsWanted& wanted) override;

private:
  LfsSourceConfig config_;
  LfsWorld world_;
  std::string repo_id_;
  std::uint64_t max_size_;
  HttpClient client_;
};

/// Credentials from the text of a file: lines "aws_access_key_id = …", "aws_secret_access_key = …"
/// and perhaps "aws_session_token = …", as in the credentials file of the AWS tools; of several
/// sections "[default]" counts.
Result<S3Credentials> s3_credentials(std::string_view text);

/// The word in <Code>…</Code> of an error answer; "" when there is none.
std::string s3_error_code(std::string_view body);

} // namespace hubgate
