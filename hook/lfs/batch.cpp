#include "hook/lfs/batch.hpp"

#include "scanner/core/evidence.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace hubgate {
namespace json = boost::json;
namespace {

constexpr std::size_t k_answer_max = std::size_t{8} << 20;
constexpr std::size_t k_depth = 32;
constexpr std::size_t k_href_max = 16384;
constexpr std::size_t k_header_max = 8192;
constexpr std::size_t k_headers = 32;
constexpr const char* k_lfs_json = "application/vnd.git-lfs+json";

std::string base64(std::string_view text) {
  static constexpr std::string_view k_digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += 3) {
    const auto byte = [&](std::size_t i) {
      return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
    };
    const std::uint32_t three = byte(0) << 16 | byte(1) << 8 | byte(2);
    out += k_digits[three >> 18];
    out += k_digits[three >> 12 & 63];
    out += at + 1 < text.size() ? k_digits[three >> 6 & 63] : '=';
    out += at + 2 < text.size() ? k_digits[three & 63] : '=';
  }
  return out;
}

const json::object* object_in(const json::object& from, std::string_view key) {
  const auto* value = from.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

// Headers that a server may ask for; those of the connection are ours.
bool may_be_sent(std::string_view name) {
  static constexpr std::string_view k_ours[] = {
      "host",    "content-length", "connection", "upgrade",    "transfer-encoding", "te",
      "trailer", "expect",         "range",      "keep-alive", "accept-encoding"};
  const bool token = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
  return token && std::find(std::begin(k_ours), std::end(k_ours), lower(name)) == std::end(k_ours);
}

Result<LfsDownload> read_download(const json::object& object) {
  LfsDownload out;
  if (const auto* error = object_in(object, "error")) {
    const auto* code = error->if_contains("code");
    const std::int64_t number = code != nullptr && code->is_int64() ? code->as_int64() : 0;
    out.absent = number == 404 || number == 410;
    if (out.absent) return out;
    return Error{"it answered " + std::to_string(number) + " for the object"};
  }
  const auto* actions = object_in(object, "actions");
  const auto* download = actions == nullptr ? nullptr : object_in(*actions, "download");
  const auto* href = download == nullptr ? nullptr : download->if_contains("href");
  if (href == nullptr || !href->is_string()) return Error{"it gives no link to the object"};
  out.href = href->as_string();
  if (out.href.size() > k_href_max) return Error{"its link is too long"};
  if (const auto* headers = object_in(*download, "header"))
    for (const auto& [name, value]: *headers) {
      if (!value.is_string() || value.as_string().size() > k_header_max ||
          out.headers.size() >= k_headers || !may_be_sent(name))
        continue;
      const std::string text(value.as_string());
      if (std::any_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        continue;
      out.headers.emplace_back(name, text);
    }
  return out;
}

} // namespace

Result<LfsDownload> read_batch_answer(std::string_view text, std::string_view oid) {
  if (text.size() > k_answer_max) return Error{"its answer is too large"};
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = k_depth;
  const json::value answer = json::parse(text, error, {}, options);
  if (error || !answer.is_object()) return Error{"its answer is no JSON object"};
  const auto& top = answer.get_object();
  if (const auto* transfer = top.if_contains("transfer");
      transfer != nullptr && (!transfer->is_string() || transfer->get_string() != "basic"))
    return Error{"it wants another transfer than basic"};
  if (const auto* hash = top.if_contains("hash_algo");
      hash != nullptr && (!hash->is_string() || hash->get_string() != "sha256"))
    return Error{"it names objects by another hash than sha256"};
  const auto* objects = top.if_contains("objects");
  if (objects == nullptr || !objects->is_array()) return Error{"its answer has no objects"};
  for (const auto& object: objects->get_array()) {
    const auto* fields = object.if_object();
    const auto* name = fields == nullptr ? nullptr : fields->if_contains("oid");
    if (name != nullptr && name->is_string() && std::string_view(name->get_string()) == oid)
      return read_download(*fields);
  }
  return Error{"its answer is not about the object"};
}

LfsBatch::LfsBatch(LfsSourceConfig config, LfsWorld world, std::string repo_id,
                   std::uint64_t max_size)
    : config_(std::move(config)), world_(std::move(world)),
      url_(with_repository(config_.place, percent_encoded(world_.repo, true), repo_id)),
      max_size_(max_size), client_(http_options(config_, world_)) {}

std::string LfsBatch::name() const {
  const auto origin = http_origin(url_);
  return "LFS API of " + (origin ? printable(origin->host, 200) : std::string("?"));
}

Result<std::vector<std::pair<std::string, std::string>>> LfsBatch::authorization() const {
  std::vector<std::pair<std::string, std::string>> out;
  if (config_.token.empty()) return out;
  const std::string token = HUBGATE_TRY(read_secret(config_.token));
  out.emplace_back("Authorization", config_.user.empty()
                                        ? "Bearer " + token
                                        : "Basic " + base64(config_.user + ":" + token));
  return out;
}

Result<Judge::Fetched> LfsBatch::fetch(const LfsWanted& wanted) {
  const HttpOrigin server = HUBGATE_TRY(http_origin(url_));
  const auto ours = HUBGATE_TRY(authorization());
  HttpRequest ask;
  ask.url = url_ + "/objects/batch";
  ask.headers = ours;
  ask.headers.emplace_back("Accept", k_lfs_json);
  ask.headers.emplace_back("Content-Type", k_lfs_json);
  ask.post = json::serialize(
      json::object{{"operation", "download"},
                   {"transfers", {"basic"}},
                   {"objects", {{{"oid", wanted.oid}, {"size", wanted.size.value_or(0)}}}},
                   {"hash_algo", "sha256"}});
  std::string text;
  const HttpReply answer =
      HUBGATE_TRY(client_.send(ask, k_answer_max, [&](Bytes bytes) -> Result<void> {
        text += as_text(bytes);
        return {};
      }));
  if (answer.status != 200) return Error{"it answered " + std::to_string(answer.status)};
  LfsDownload download = HUBGATE_TRY(read_batch_answer(text, wanted.oid));
  if (download.absent) return Judge::Fetched{};

  const HttpOrigin there = HUBGATE_TRY(http_origin(download.href));
  if (!(there == server) && !client_.names(there))
    return Error{"its link leads to " + printable(there.host + ":" + there.port, 200) +
                 ", which is not among its hosts"};
  if (server.scheme == "https" && there.scheme != "https")
    return Error{"its link leads from https to http"};
  HttpRequest get{download.href, std::move(download.headers), ""};
  const bool has_own = std::any_of(get.headers.begin(), get.headers.end(), [](const auto& header) {
    return lower(header.first) == "authorization";
  });
  if (there == server && !has_own) get.headers.insert(get.headers.end(), ours.begin(), ours.end());
  HttpReply reply;
  auto fetched = ::hubgate::download(client_, get, world_.scratch, max_size_, reply);
  if (!fetched || reply.status == 200) return fetched;
  // The API has just said that it has the object: even a 404 is a fault.
  return Error{"it answered " + std::to_string(reply.status) + " where it said the object is"};
}

} // namespace hubgate
