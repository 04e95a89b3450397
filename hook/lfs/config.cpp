#include "hook/lfs/config.hpp"

#include "hook/lfs/http.hpp"
#include "scanner/git/pointer.hpp"

#include <array>

namespace hubgate {
namespace {

constexpr std::string_view k_own_store = "lfs/objects";

bool is_template(std::string_view text) {
  return git::expand_lfs_path(with_repository(text, "r", "1"), "", std::string(64, '0'))
      .has_value();
}

std::vector<std::string> read_paths(yaml::Mapping& from) {
  std::vector<std::string> out;
  if (const auto paths = from.list("paths"))
    for (const auto& path: *paths) {
      if (!is_template(path.text))
        from.error("paths", path,
                   "is no template: it takes {root}, {oid}, {N}, {N:M}, {repo} and {repo_id}");
      out.push_back(path.text);
    }
  return out;
}

// A store inside of the repository, or named by it, is nobody else's.
bool shared_by_its_place(const std::string& root) {
  return root.starts_with('/') && !names_repository(root);
}

void read_web(yaml::Mapping& from, std::string_view key, LfsSourceConfig& source) {
  if (auto origin = http_origin(with_repository(source.place, "r", "1")); !origin)
    from.error(key, origin.error().message);
  while (source.place.ends_with('/'))
    source.place.pop_back();
  source.ca = from.text("ca").value_or("");
  if (const auto hosts = from.list("hosts"))
    for (const auto& host: *hosts) {
      if (host.text.empty() || host.text.find('/') != std::string::npos)
        from.error("hosts", host, "is no host or host:port");
      source.hosts.push_back(host.text);
    }
}

LfsSourceConfig read_source(yaml::Mapping& from) {
  LfsSourceConfig source;
  if (auto root = from.text("folder")) {
    source.place = *root;
    if (root->empty()) from.error("folder", "must not be empty");
    source.paths = read_paths(from);
    source.shared = from.flag("shared").value_or(shared_by_its_place(*root));
  } else if (auto endpoint = from.text("s3")) {
    source.kind = LfsSourceConfig::Kind::s3;
    source.place = *endpoint;
    read_web(from, "s3", source);
    source.bucket = from.text("bucket").value_or("");
    if (source.bucket.empty() || source.bucket.find('/') != std::string::npos)
      from.error("bucket", "an s3 source needs the name of a bucket");
    source.region = from.text("region").value_or(source.region);
    source.key = from.text("key").value_or(source.key);
    if (!is_template(source.key) || source.key.find("{root}") != std::string::npos)
      from.error("key", "is no template: it takes {oid}, {N}, {N:M}, {repo} and {repo_id}");
    source.path_style = from.flag("path_style").value_or(true);
    source.credentials = from.text("credentials").value_or("");
  } else if (auto url = from.text("batch")) {
    source.kind = LfsSourceConfig::Kind::batch;
    source.place = *url;
    read_web(from, "batch", source);
    source.user = from.text("user").value_or("");
    source.token = from.text("token").value_or("");
    if (!source.user.empty() && source.token.empty())
      from.error("user", "needs the file of a token");
  } else {
    from.error("", "a source is a folder, s3 or batch");
  }
  from.finish();
  return source;
}

} // namespace

std::string with_repository(std::string_view text, std::string_view repo, std::string_view id) {
  std::string out(text);
  for (const auto& [field, value]:
       {std::pair<std::string_view, std::string_view>{"{repo}", repo}, {"{repo_id}", id}})
    for (std::size_t at = out.find(field); at != std::string::npos;
         at = out.find(field, at + value.size()))
      out.replace(at, field.size(), value);
  return out;
}

bool names_repository(std::string_view text) {
  return text.find("{repo}") != text.npos || text.find("{repo_id}") != text.npos;
}

LfsConfig default_lfs_config() {
  LfsConfig out;
  LfsSourceConfig own;
  own.place = k_own_store;
  own.shared = false;
  out.sources.push_back(std::move(own));
  return out;
}

LfsConfig read_lfs_config(yaml::Mapping& top) {
  auto from = top.mapping("lfs");
  if (!from) return default_lfs_config();
  LfsConfig out;
  const bool short_form = from->has("roots") || from->has("paths");
  const std::vector<std::string> paths = read_paths(*from);
  std::vector<std::string> places;
  if (const auto roots = from->list("roots"))
    for (const auto& root: *roots) {
      if (root.text.empty()) from->error("roots", root, "must not be empty");
      places.push_back(root.text);
    }
  if (places.empty() && (short_form || !from->has("sources"))) places.emplace_back(k_own_store);
  for (const auto& place: places) {
    LfsSourceConfig source;
    source.place = place;
    source.paths = paths;
    source.shared = shared_by_its_place(place);
    out.sources.push_back(std::move(source));
  }
  if (auto sources = from->mappings("sources"))
    for (auto& source: *sources)
      out.sources.push_back(read_source(source));

  static constexpr std::array<std::string_view, 2> k_known{"read", "accept"};
  if (const auto known = from->choice("known", k_known))
    out.known = *known == 1 ? LfsConfig::Known::accept : LfsConfig::Known::read;
  static constexpr std::array<std::string_view, 2> k_absent{"refuse", "pending"};
  if (const auto absent = from->choice("absent", k_absent))
    out.absent = *absent == 1 ? LfsConfig::Absent::pending : LfsConfig::Absent::refuse;
  static constexpr std::array<std::string_view, 3> k_orphans{"keep", "remove", "quarantine"};
  if (const auto orphans = from->choice("orphans", k_orphans))
    out.orphans = static_cast<LfsConfig::Orphans>(*orphans);
  out.max_size = from->size("max_size").value_or(out.max_size);
  out.database = from->text("database").value_or("");
  for (const auto& source: out.sources)
    if (out.database.empty() &&
        (source.place + source.key).find("{repo_id}") != std::string::npos) {
      from->error("database", "is needed where {repo_id} stands: the server's SQLite file");
      break;
    }
  from->finish();
  return out;
}

} // namespace hubgate
