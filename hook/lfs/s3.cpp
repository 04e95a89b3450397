#include "hook/lfs/s3.hpp"

#include "scanner/core/evidence.hpp"
#include "scanner/git/pointer.hpp"

#include <algorithm>
#include <ctime>

namespace hubgate {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view k_blank = " \t\r";
  const std::size_t begin = text.find_first_not_of(k_blank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(k_blank) - begin + 1);
}

Result<S3Credentials> credentials_of(const LfsSourceConfig& config) {
  if (!config.credentials.empty()) {
    const std::string text = HUBGATE_TRY(read_secret(config.credentials));
    auto credentials = s3_credentials(text);
    if (!credentials)
      return Error{printable(config.credentials, 200) + ": " + credentials.error().message};
    return credentials;
  }
  const auto get = process_environment();
  return S3Credentials{get("AWS_ACCESS_KEY_ID").value_or(""),
                       get("AWS_SECRET_ACCESS_KEY").value_or(""),
                       get("AWS_SESSION_TOKEN").value_or("")};
}

} // namespace

Result<S3Credentials> s3_credentials(std::string_view text) {
  S3Credentials out;
  bool counts = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      counts = line == "[default]";
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!counts || equals == line.npos) continue;
    const std::string_view key = trimmed(line.substr(0, equals));
    const std::string value(trimmed(line.substr(equals + 1)));
    if (key == "aws_access_key_id") out.access_key = value;
    if (key == "aws_secret_access_key") out.secret_key = value;
    if (key == "aws_session_token") out.session_token = value;
  }
  if (out.access_key.empty() || out.secret_key.empty())
    return Error{"it has no aws_access_key_id and aws_secret_access_key"};
  return out;
}

std::string s3_error_code(std::string_view body) {
  constexpr std::string_view k_open = "<Code>";
  const std::size_t begin = body.find(k_open);
  if (begin == body.npos) return {};
  body.remove_prefix(begin + k_open.size());
  const std::size_t end = body.find('<');
  constexpr std::size_t k_longest = 64;
  if (end == body.npos || end > k_longest) return {};
  const std::string_view code = body.substr(0, end);
  const bool plain = std::all_of(code.begin(), code.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  return plain ? std::string(code) : std::string();
}

LfsS3::LfsS3(LfsSourceConfig config, LfsWorld world, std::string repo_id, std::uint64_t max_size)
    : config_(std::move(config)), world_(std::move(world)), repo_id_(std::move(repo_id)),
      max_size_(max_size), client_(http_options(config_, world_)) {}

std::string LfsS3::name() const {
  return "s3 bucket " + printable(config_.bucket, 100);
}

Result<Judge::Fetched> LfsS3::fetch(const LfsWanted& wanted) {
  const S3Credentials credentials = HUBGATE_TRY(credentials_of(config_));
  const auto key =
      git::expand_lfs_path(with_repository(config_.key, world_.repo, repo_id_), "", wanted.oid);
  const HttpOrigin origin = HUBGATE_TRY(http_origin(config_.place));
  const bool usual_port = origin.port == (origin.scheme == "https" ? "443" : "80");
  // Behind the host an endpoint may have a path (a gateway in front of the store).
  const std::size_t slash = config_.place.find('/', config_.place.find("://") + 3);
  S3Request request;
  request.host = (config_.path_style ? "" : config_.bucket + ".") + origin.host +
                 (usual_port ? "" : ":" + origin.port);
  request.path = (slash == std::string::npos ? "" : config_.place.substr(slash)) +
                 (config_.path_style ? "/" + percent_encoded(config_.bucket, false) : "") + "/" +
                 percent_encoded(key.value_or(""), true);
  request.region = config_.region;
  request.time = std::time(nullptr);
  HttpRequest get;
  get.url = origin.scheme + "://" + request.host + request.path;
  if (!credentials.access_key.empty()) get.headers = sign_s3_get(request, credentials);

  HttpReply reply;
  auto fetched = download(client_, get, world_.scratch, max_size_, reply);
  if (!fetched || reply.status == 200) return fetched;
  const std::string code = s3_error_code(reply.body);
  // A 404 of a wrong bucket or of something that is no such store says nothing of the object.
  if (reply.status == 404 && code == "NoSuchKey") return fetched;
  return Error{"it answered " + std::to_string(reply.status) + (code.empty() ? "" : " " + code)};
}

} // namespace hubgate
