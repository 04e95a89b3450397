#include "proxy/hub/revision.hpp"

#include "proxy/hub/commit_body.hpp"
#include "proxy/relay/object.hpp"
#include "scanner/core/evidence.hpp"

#include <boost/json.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_pages = 1'000;
constexpr std::array<std::string_view, 4> k_kinds = {"models", "datasets", "spaces", "kernels"};

void tell(Listing& listing, Reason reason, Reach reach, const std::string& detail) {
  listing.gap = Gap{reason, reach, "", 0, printable(detail), {}};
}

} // namespace

RepoName split_repo(std::string_view repo) {
  RepoName out;
  for (const std::string_view kind: {"datasets", "spaces", "kernels"}) {
    if (repo.starts_with(kind) && repo.size() > kind.size() && repo[kind.size()] == '/') {
      out.kind = kind;
      repo.remove_prefix(kind.size() + 1);
      break;
    }
  }
  out.name = repo;
  return out;
}

std::optional<std::string> canonical_repo(std::string_view kind, std::string_view name) {
  std::string plural(kind.empty() ? "model" : kind);
  if (!plural.ends_with('s')) plural += 's';
  if (std::find(k_kinds.begin(), k_kinds.end(), plural) == k_kinds.end()) return std::nullopt;
  if (!is_repository_path(name) || std::count(name.begin(), name.end(), '/') > 1)
    return std::nullopt;
  if (plural == "models") return std::string(name);
  return plural + "/" + std::string(name);
}

std::string encoded_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    out += percent_encoded(path.substr(0, end));
    if (end < path.size()) out += '/';
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return out;
}

std::string api_path(std::string_view repo) {
  const RepoName name = split_repo(repo);
  return "/api/" + name.kind + "/" + encoded_path(name.name);
}

bool is_commit(std::string_view revision) {
  return revision.size() == 40 &&
         revision.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string git_blob_id(std::string_view bytes) {
  const std::string head = "blob " + std::to_string(bytes.size()) + '\0';
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha1(), nullptr);
  EVP_DigestUpdate(context.get(), head.data(), head.size());
  EVP_DigestUpdate(context.get(), bytes.data(), bytes.size());
  EVP_DigestFinal_ex(context.get(), digest.data(), &length);
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte: std::span(digest).first(length)) {
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

Task<Listing> list_files(Gate& gate, const Hub& hub, std::string repo, std::string revision,
                         Headers fields, TimePoint until) {
  Listing out;
  Url url = hub.base;
  url.target =
      api_path(repo) + "/tree/" + percent_encoded(revision) + "?recursive=true&expand=false";
  for (std::size_t page = 0; page < k_pages; ++page) {
    Fetch fetch("GET", url, fields);
    Fetched got = co_await gate.upstream.follow(std::move(fetch));
    const bool answered = got.last && !got.left_origin && got.last->head.status == 200;
    if (!answered) {
      std::string why = got.error;
      if (got.last) {
        why = "status " + std::to_string(got.last->head.status);
        out.missing = page == 0 && got.last->head.status == 404;
      }
      tell(out, Reason::unreadable, Reach::data,
           "the hub gives no listing of this revision: " + why);
      co_return out;
    }
    const std::string link = got.last->head.headers.joined("link");
    const std::optional<std::string> body = co_await got.last->read_all(gate.config.limits.json);
    if (!body) {
      std::string why = "the hub's listing of this revision broke off: " + got.last->error();
      tell(out, Reason::unreadable, Reach::data, why);
      co_return out;
    }
    got.last.reset();
    gate.metrics.bytes_in += body->size();
    auto files = co_await gate.loop.offload([&] { return parse_tree_page(*body); });
    if (!files) {
      std::string why = "the hub's listing can't be read: " + files.error().message;
      tell(out, Reason::malformed, Reach::data, why);
      co_return out;
    }
    std::move(files->begin(), files->end(), std::back_inserter(out.files));
    const auto next = next_page(link, hub.base.origin);
    if (!next) co_return out;
    if (out.files.size() >= k_tree_files || Clock::now() >= until) break;
    url.target = *next;
  }
  tell(out, Reason::budget, Reach::load, "this revision has too many files to judge them together");
  co_return out;
}

Task<std::optional<std::string>> commit_of(Visit& visit, std::string repo, std::string revision) {
  Gate& gate = visit.gate;
  Url url = visit.hub->base;
  url.target = api_path(repo) + "/revision/" + percent_encoded(revision) + "?expand=sha";
  Fetch fetch("GET", std::move(url), forwarded_fields(visit));
  Fetched got = co_await gate.upstream.follow(std::move(fetch));
  if (!got.last || got.left_origin) {
    std::string why = "the hub does not say which commit this is: " + got.error;
    co_await reply_error(visit, 502, std::move(why));
    co_return std::nullopt;
  }
  if (got.last->head.status != 200) {
    const ResponseHead head = got.last->head;
    co_await reply_upstream_error(visit, head, {});
    co_return std::nullopt;
  }
  const std::optional<std::string> body = co_await got.last->read_all(gate.config.limits.json);
  boost::system::error_code wrong;
  boost::json::value answer;
  if (body) answer = boost::json::parse(*body, wrong);
  const auto* object = body && !wrong ? answer.if_object() : nullptr;
  const auto* sha = object != nullptr ? object->if_contains("sha") : nullptr;
  if (sha != nullptr && sha->is_string() && is_commit(sha->get_string()))
    co_return std::string(sha->get_string());
  co_await reply_error(visit, 502, "the hub does not say which commit this is");
  co_return std::nullopt;
}

Result<std::vector<ListedFile>> parse_tree_page(std::string_view json) {
  boost::system::error_code failed;
  boost::json::parse_options options;
  options.max_depth = 16;
  const auto value = boost::json::parse(json, failed, {}, options);
  if (failed || !value.is_array()) return Error{"it is no list"};
  const auto text = [](const boost::json::object& object, const char* name) {
    const auto* field = object.if_contains(name);
    return field && field->is_string() ? std::string(field->get_string()) : std::string();
  };
  const auto number = [](const boost::json::object& object, const char* name) -> std::uint64_t {
    const auto* field = object.if_contains(name);
    if (!field || !field->is_number()) return 0;
    boost::system::error_code none;
    const auto out = field->to_number<std::uint64_t>(none);
    return none ? 0 : out;
  };
  std::vector<ListedFile> out;
  for (const auto& item: value.get_array()) {
    if (!item.is_object()) return Error{"an entry is no object"};
    const auto& object = item.get_object();
    ListedFile file;
    file.path = text(object, "path");
    if (file.path.empty()) return Error{"an entry has no path"};
    if (text(object, "type") == "directory") continue;
    file.oid = text(object, "oid");
    file.size = number(object, "size");
    file.xet = text(object, "xetHash");
    if (const auto* lfs = object.if_contains("lfs"); lfs && lfs->is_object()) {
      file.lfs = sha256_from_hex(text(lfs->get_object(), "oid"));
      file.size = number(lfs->get_object(), "size");
    }
    out.push_back(std::move(file));
  }
  return out;
}

std::optional<std::string> next_page(std::string_view link, const Origin& upstream) {
  while (!link.empty()) {
    const std::size_t open = link.find('<');
    const std::size_t close = link.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
    const std::string_view address = link.substr(open + 1, close - open - 1);
    const std::size_t end = std::min(link.find('<', close), link.size());
    const std::string_view parameters = link.substr(close, end - close);
    if (parameters.find("rel=\"next\"") != std::string_view::npos) {
      const auto url = parse_url(address);
      if (!url || !(url->origin == upstream)) return std::nullopt;
      return url->target;
    }
    link.remove_prefix(end);
  }
  return std::nullopt;
}

} // namespace hubgate::proxy
