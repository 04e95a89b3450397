#include "proxy/hub/routes.hpp"

#include "proxy/http/head.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace hubgate::proxy {

namespace {

constexpr std::array<std::string_view, 4> k_prefixes = {"datasets", "spaces", "kernels", "models"};
constexpr std::array<std::string_view, 4> k_file_words = {"resolve", "raw", "blob", "media"};

bool one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string joined(const std::vector<std::string>& parts, std::size_t from, std::size_t to) {
  std::string out;
  for (std::size_t i = from; i < to && i < parts.size(); ++i) {
    if (i > from) out += '/';
    out += parts[i];
  }
  return out;
}

// "models" is the default kind and is not part of the canonical name.
std::string canonical(std::string_view kind, std::string name) {
  if (kind.empty() || kind == "models") return name;
  return std::string(kind) + "/" + std::move(name);
}

bool reads(std::string_view method) {
  return method == "GET" || method == "HEAD";
}

// A revision is one segment, but for "refs/pr/1", which hubs take as it is too. What else has
// slashes must have them encoded: nobody could tell it from a path.
std::size_t behind_revision(const std::vector<std::string>& parts, std::size_t at) {
  return parts[at] == "refs" && at + 2 < parts.size() ? at + 3 : at + 1;
}

// [kind/]ns/name/WORD/REV/PATH or [kind/]name/WORD/REV/PATH, from segment `from` on.
bool file_route(Asked& asked, std::size_t from, std::span<const std::string_view> words) {
  const auto& parts = asked.target.segments;
  std::string_view kind;
  if (from < parts.size() && one_of(parts[from], k_prefixes)) kind = parts[from++];
  for (const std::size_t length: {std::size_t{2}, std::size_t{1}}) {
    const std::size_t word = from + length;
    if (word + 2 >= parts.size() || !one_of(parts[word], words)) continue;
    asked.repo = canonical(kind, joined(parts, from, word));
    const std::size_t path = behind_revision(parts, word + 1);
    if (path >= parts.size()) continue;
    asked.revision = joined(parts, word + 1, path);
    asked.path = joined(parts, path, parts.size());
    return true;
  }
  return false;
}

// /api/KIND/ns/name/REST…: returns the index of REST's first word, 0 when it is no such route.
std::size_t api_repo(Asked& asked) {
  const auto& parts = asked.target.segments;
  if (parts.size() < 3 || parts[0] != "api" || !one_of(parts[1], k_prefixes)) return 0;
  static constexpr std::array<std::string_view, 19> k_words = {
      "tree",          "paths-info",     "revision",        "refs",      "commits",   "settings",
      "tag",           "xet-read-token", "xet-write-token", "commit",    "branch",    "preupload",
      "resolve-cache", "treesize",       "compare",         "duplicate", "lfs-files", "discussions",
      "super-squash"};
  std::size_t rest = std::min<std::size_t>(parts.size(), 4);
  if (parts.size() > 3 && one_of(parts[3], k_words)) rest = 3;
  asked.repo = canonical(parts[1], joined(parts, 2, rest));
  return rest;
}

// […]NAME.git/REST: the index behind the name, 0 when there is none.
std::size_t git_repo(Asked& asked) {
  const auto& parts = asked.target.segments;
  std::size_t from = 0;
  std::string_view kind;
  if (!parts.empty() && one_of(parts[0], k_prefixes)) {
    kind = parts[0];
    from = 1;
  }
  for (std::size_t i = from; i < parts.size() && i < from + 2; ++i) {
    const bool git_word =
        i + 1 < parts.size() &&
        (parts[i + 1] == "info" || parts[i + 1] == "git-upload-pack" ||
         parts[i + 1] == "git-receive-pack" || parts[i + 1] == "HEAD" || parts[i + 1] == "objects");
    std::string_view name = parts[i];
    const bool suffix = name.size() > 4 && name.substr(name.size() - 4) == ".git";
    if (!git_word || (!suffix && i == from)) continue;
    if (suffix) name.remove_suffix(4);
    std::string whole = joined(parts, from, i);
    if (!whole.empty()) whole += '/';
    whole += name;
    asked.repo = canonical(kind, std::move(whole));
    return i + 1;
  }
  return 0;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 10 && text.front() != '0' &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// …/discussions/REST
Change discussion_change(std::string_view method, std::span<const std::string> rest) {
  if (method != "POST") return Change::none;
  if (rest.empty()) return Change::discussion;
  if (!is_number(rest[0])) return Change::none;
  if (rest.size() == 2 && rest[1] == "merge") return Change::merge;
  const bool words =
      rest.size() == 2 && (rest[1] == "comment" || rest[1] == "title" || rest[1] == "status");
  const bool comment =
      rest.size() == 4 && rest[1] == "comment" && (rest[3] == "edit" || rest[3] == "hide");
  return words || comment ? Change::discuss : Change::none;
}

// /api/KIND/REPO/WORD/REST
Change repo_change(std::string_view method, std::string_view word,
                   std::span<const std::string> rest) {
  if (word == "discussions") return discussion_change(method, rest);
  if (word == "settings") return method == "PUT" && rest.empty() ? Change::settings : Change::none;
  if ((word == "branch" || word == "tag") && rest.size() == 1) {
    if (method == "DELETE") return Change::delete_ref;
    if (method == "POST") return word == "tag" ? Change::tag : Change::branch;
  }
  if (method != "POST") return Change::none;
  if (word == "duplicate" && rest.empty()) return Change::duplicate_repo;
  if (rest.size() != 1) return Change::none;
  if (word == "super-squash") return Change::squash;
  if (word != "lfs-files") return Change::none;
  if (rest[0] == "duplicate") return Change::copy_objects;
  return rest[0] == "batch" ? Change::delete_objects : Change::none;
}

// /api/repos/WORD
Change repos_change(std::string_view method, std::string_view whole) {
  if (method == "POST" && whole == "api/repos/create") return Change::create_repo;
  if (method == "POST" && whole == "api/repos/move") return Change::move_repo;
  if (method == "DELETE" && whole == "api/repos/delete") return Change::delete_repo;
  return Change::none;
}

Route git_route(const Asked& asked, std::string_view method, std::size_t rest) {
  const auto& parts = asked.target.segments;
  const std::string tail = joined(parts, rest, parts.size());
  if (tail == "info/refs") {
    const auto service = query_value(asked.target.query, "service");
    if (service == "git-receive-pack") return Route::git_push;
    return reads(method) && service == "git-upload-pack" ? Route::git_refs : Route::refused;
  }
  if (tail == "git-upload-pack") return method == "POST" ? Route::git_pack : Route::refused;
  if (tail == "git-receive-pack") return Route::git_push;
  if (tail == "info/lfs/objects/batch") return method == "POST" ? Route::lfs_batch : Route::refused;
  if (tail == "info/lfs/locks" || tail.starts_with("info/lfs/locks/")) return Route::lfs_locks;
  // Dumb transport and everything else would carry unscanned objects.
  return Route::refused;
}

} // namespace

Asked classify(std::string_view method, Target target) {
  Asked asked;
  asked.target = std::move(target);
  const auto& parts = asked.target.segments;
  if (!parts.empty() && parts[0] == k_lfs_link) {
    const std::string_view purpose = parts.size() > 1 ? std::string_view(parts[1]) : "";
    if (purpose == "cas")
      asked.route = Route::cas;
    else if (purpose == "upload" && method == "PUT")
      asked.route = Route::lfs_upload;
    else if (purpose == "part" && method == "PUT")
      asked.route = Route::lfs_part;
    else if (purpose == "complete" && method == "POST")
      asked.route = Route::lfs_completion;
    else if (purpose == "verify" && method == "POST")
      asked.route = Route::lfs_verify;
    else
      asked.route = reads(method) ? Route::lfs_object : Route::refused;
    return asked;
  }
  const std::string whole = joined(parts, 0, parts.size());
  if (method == "POST" && whole == "api/validate-yaml") {
    asked.route = Route::json_post;
    return asked;
  }
  if (method == "POST" && whole == "v1/telemetry") {
    asked.route = Route::telemetry;
    return asked;
  }
  asked.change = repos_change(method, whole);
  if (asked.change != Change::none) {
    asked.route = Route::change;
    return asked;
  }
  static constexpr std::array<std::string_view, 1> k_cache = {"resolve-cache"};
  if (parts.size() > 1 && parts[0] == "api" && parts[1] == "resolve-cache") {
    // /api/resolve-cache/KIND/ns/name/REV/PATH
    std::size_t from = 2;
    std::string_view kind;
    if (from < parts.size() && one_of(parts[from], k_prefixes)) kind = parts[from++];
    if (from + 3 < parts.size()) {
      asked.repo = canonical(kind, joined(parts, from, from + 2));
      asked.revision = parts[from + 2];
      asked.path = joined(parts, from + 3, parts.size());
      asked.route = reads(method) ? Route::object : Route::refused;
    }
    return asked;
  }
  if (!parts.empty() && parts[0] == "api" && file_route(asked, 1, k_cache)) {
    asked.route = reads(method) ? Route::object : Route::refused;
    return asked;
  }
  if (const std::size_t rest = api_repo(asked)) {
    const std::string_view word = rest < parts.size() ? std::string_view(parts[rest]) : "";
    const std::size_t path =
        rest + 1 < parts.size() ? behind_revision(parts, rest + 1) : parts.size();
    asked.revision = joined(parts, rest + 1, path);
    asked.path = joined(parts, path, parts.size());
    if (word == "xet-read-token" || word == "xet-write-token")
      asked.route = Route::xet_token;
    else if (reads(method))
      asked.route = Route::listing;
    else if (method == "POST" && word == "paths-info")
      asked.route = Route::paths_info;
    else if (method == "POST" && word == "preupload" && path == parts.size() && rest + 1 < path)
      asked.route = Route::preupload;
    else if (method == "POST" && word == "commit" && path == parts.size() && rest + 1 < path)
      asked.route = Route::commit;
    if (asked.route == Route::refused && rest < parts.size()) {
      asked.change = repo_change(method, word, std::span(parts).subspan(rest + 1));
      if (asked.change != Change::none) asked.route = Route::change;
    }
    return asked;
  }
  if (!parts.empty() && parts[0] != "api") {
    if (file_route(asked, 0, k_file_words)) {
      asked.route = reads(method) ? Route::object : Route::refused;
      return asked;
    }
    if (const std::size_t rest = git_repo(asked)) {
      asked.route = git_route(asked, method, rest);
      return asked;
    }
  }
  if (!parts.empty() && parts[0] == "api" && reads(method))
    asked.route = Route::listing;
  else if (reads(method))
    asked.route = Route::page;
  return asked;
}

} // namespace hubgate::proxy
