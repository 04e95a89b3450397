#include "proxy/hub/change.hpp"

#include "proxy/hub/commit.hpp"
#include "proxy/hub/commit_body.hpp"
#include "proxy/hub/listing.hpp"
#include "proxy/hub/named.hpp"
#include "proxy/hub/revision.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr std::size_t k_refs_most = 64;      ///< of a repository that is copied
constexpr std::size_t k_objects_most = 1000; ///< of one request

std::optional<std::string> text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

bool is_set(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  return value != nullptr && value->is_bool() && value->get_bool();
}

bool is_plain(const json::object& object) {
  return std::none_of(object.begin(), object.end(), [](const auto& field) {
    return field.value().is_object() || field.value().is_array();
  });
}

// The JSON object of the request; an empty body is an empty one. Nothing: the client has been told.
Task<std::optional<json::object>> read_object(Visit& visit, std::uint64_t most) {
  auto body = co_await read_request_body(visit, most);
  if (!body) co_return std::nullopt;
  if (trimmed(*body).empty()) co_return json::object{};
  boost::system::error_code wrong;
  json::parse_options options;
  options.max_depth = 8;
  json::value value = json::parse(*body, wrong, {}, options);
  if (!wrong && value.is_object()) co_return std::move(value.get_object());
  co_await refuse(visit, Road::hub, "change-not-understood", "the request is no JSON object");
  co_return std::nullopt;
}

// The first field that is not in the list: it may name what nobody judged.
std::optional<std::string> unknown_field(const json::object& object,
                                         std::initializer_list<std::string_view> known) {
  for (const auto& field: object) {
    const std::string_view name(field.key().data(), field.key().size());
    if (std::find(known.begin(), known.end(), name) == known.end()) return std::string(name);
  }
  return std::nullopt;
}

Task<void> not_understood(Visit& visit, std::string why) {
  co_await refuse(visit, Road::hub, "change-not-understood", std::move(why));
}

Task<void> refuse_field(Visit& visit, std::string name) {
  std::string why = "the gate does not know what \"" + name + "\" means here";
  co_await refuse(visit, Road::hub, "change-not-understood", std::move(why));
}

// The request as it goes on: to `target`, with `body` if there is one.
Fetch forwarded(const Visit& visit, std::string target, const json::object* body) {
  Url url = visit.hub->base;
  url.target = std::move(target);
  Fetch fetch(visit.request.method, std::move(url), forwarded_fields(visit));
  if (body != nullptr) {
    fetch.body = json::serialize(*body);
    fetch.headers.set("Content-Type", "application/json");
  }
  fetch.has_body = true;
  return fetch;
}

// The path of the request as it was read here, without a query.
std::string same_target(const Visit& visit) {
  std::string out;
  for (const std::string& segment: visit.asked.target.segments)
    out += "/" + percent_encoded(segment);
  return out;
}

// The reference stands where it stood when it was judged. False: the client has been told.
Task<bool> stands_still(Visit& visit, std::string repo, std::string revision, std::string commit) {
  const auto now = co_await commit_of(visit, repo, revision);
  if (!now) co_return false;
  if (*now == commit) co_return true;
  co_await reply_error(visit, 503, "the repository changed while it was judged; try again");
  co_return false;
}

Task<void> create_branch(Visit& visit, json::object asked) {
  const auto start = text_of(asked, "startingPoint");
  const bool overwrite = is_set(asked, "overwrite");
  json::object out;
  if (overwrite) out["overwrite"] = true;
  if (is_set(asked, "emptyBranch")) {
    out["emptyBranch"] = true;
  } else {
    const std::string repo = visit.asked.repo;
    std::string from = start.value_or("main");
    const auto commit = co_await commit_of(visit, repo, std::move(from));
    if (!commit) co_return;
    const bool permitted = co_await reference_permitted(visit, repo, *commit);
    if (!permitted) co_return;
    // To overwrite with nothing named means to leave a branch that is there as it is.
    if (start || !overwrite) out["startingPoint"] = *commit;
  }
  Fetch fetch = forwarded(visit, same_target(visit), &out);
  co_await pass_status(visit, std::move(fetch));
}

Task<void> create_tag(Visit& visit, json::object asked) {
  const auto name = text_of(asked, "tag");
  if (!name || name->empty()) {
    co_await not_understood(visit, "a tag without a name");
    co_return;
  }
  const std::string repo = visit.asked.repo;
  const auto commit = co_await commit_of(visit, repo, visit.asked.revision);
  if (!commit) co_return;
  visit.asked.revision = *name;
  const bool permitted = co_await reference_permitted(visit, repo, *commit);
  if (!permitted) co_return;
  json::object out{{"tag", *name}};
  if (const auto message = text_of(asked, "message")) out["message"] = *message;
  Fetch fetch = forwarded(visit, api_path(repo) + "/tag/" + *commit, &out);
  co_await pass_status(visit, std::move(fetch));
}

// One reference becomes another one that names the same files: a squash, a merge, a pull request.
Task<void> judge_and_pass(Visit& visit, std::string revision, json::object out) {
  const std::string repo = visit.asked.repo;
  const auto commit = co_await commit_of(visit, repo, revision);
  if (!commit) co_return;
  const bool permitted = co_await reference_permitted(visit, repo, *commit);
  if (!permitted) co_return;
  const bool same = co_await stands_still(visit, repo, revision, *commit);
  if (!same) co_return;
  Fetch fetch = forwarded(visit, same_target(visit), &out);
  co_await pass_status(visit, std::move(fetch));
}

Task<void> squash(Visit& visit, json::object asked) {
  json::object out;
  if (const auto message = text_of(asked, "message")) out["message"] = *message;
  std::string branch = visit.asked.revision;
  co_await judge_and_pass(visit, std::move(branch), std::move(out));
}

Task<void> merge(Visit& visit, json::object asked) {
  json::object out;
  if (const auto comment = text_of(asked, "comment")) out["comment"] = *comment;
  std::string pull = "refs/pr/" + visit.asked.revision;
  visit.asked.revision = "main";
  co_await judge_and_pass(visit, std::move(pull), std::move(out));
}

Task<void> pass_plain(Visit& visit, json::object asked) {
  if (!is_plain(asked)) {
    co_await not_understood(visit, "only texts, numbers and switches are expected here");
    co_return;
  }
  Fetch fetch = forwarded(visit, same_target(visit), asked.empty() ? nullptr : &asked);
  co_await pass_status(visit, std::move(fetch));
}

// A pull request begins as a reference to what main is.
Task<void> open_discussion(Visit& visit, json::object asked) {
  if (!is_set(asked, "pullRequest")) {
    co_await pass_plain(visit, std::move(asked));
    co_return;
  }
  if (!is_plain(asked)) {
    co_await not_understood(visit, "only texts, numbers and switches are expected here");
    co_return;
  }
  co_await judge_and_pass(visit, "main", std::move(asked));
}

// The commits of all branches and tags, sorted; nothing: the client has been told.
Task<std::optional<std::vector<std::string>>> commits_of(Visit& visit, std::string repo) {
  Gate& gate = visit.gate;
  Url url = visit.hub->base;
  url.target = api_path(repo) + "/refs";
  Fetch fetch("GET", std::move(url), forwarded_fields(visit));
  Fetched got = co_await gate.upstream.follow(std::move(fetch));
  if (!got.last || got.left_origin) {
    co_await reply_error(visit, 502, "the hub does not say which references there are");
    co_return std::nullopt;
  }
  if (got.last->head.status != 200) {
    const ResponseHead head = got.last->head;
    co_await reply_upstream_error(visit, head, {});
    co_return std::nullopt;
  }
  const std::optional<std::string> body = co_await got.last->read_all(gate.config.limits.json);
  boost::system::error_code wrong;
  json::value answer;
  if (body) answer = json::parse(*body, wrong);
  bool readable = body && !wrong && answer.is_object();
  std::vector<std::string> out;
  if (readable) {
    for (const char* group: {"branches", "tags", "converts"}) {
      const auto* list = answer.get_object().if_contains(group);
      if (list == nullptr || !list->is_array()) continue;
      for (const json::value& ref: list->get_array()) {
        const auto* object = ref.if_object();
        const auto commit = object != nullptr ? text_of(*object, "targetCommit") : std::nullopt;
        readable = readable && commit && is_commit(*commit);
        if (readable) out.push_back(*commit);
      }
    }
  }
  if (!readable) {
    co_await reply_error(visit, 502, "the hub's list of references can't be read");
    co_return std::nullopt;
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  co_return out;
}

// A whole repository under another name: everything that its branches and tags name.
Task<void> copy_repo(Visit& visit, std::string from, std::string to, json::object out) {
  visit.asked.repo = std::move(to);
  const auto commits = co_await commits_of(visit, from);
  if (!commits) co_return;
  if (commits->size() > k_refs_most) {
    co_await refuse(visit, Road::hub, "too-many-references",
                    "this repository has too many branches and tags to judge them all");
    co_return;
  }
  for (const std::string& commit: *commits) {
    const bool permitted = co_await reference_permitted(visit, from, commit);
    if (!permitted) co_return;
  }
  const auto again = co_await commits_of(visit, from);
  if (!again) co_return;
  if (*again != *commits) {
    co_await reply_error(visit, 503, "the repository changed while it was judged; try again");
    co_return;
  }
  Fetch fetch = forwarded(visit, same_target(visit), &out);
  co_await pass_page(visit, std::move(fetch));
}

Task<void> duplicate_repo(Visit& visit, json::object asked) {
  const std::string from = visit.asked.repo;
  const auto name = text_of(asked, "repository");
  const auto to = canonical_repo(split_repo(from).kind, name.value_or(""));
  if (!name || !to) {
    co_await not_understood(visit, "\"repository\" is no name of a repository");
    co_return;
  }
  const auto unknown =
      unknown_field(asked, {"repository", "visibility", "private", "resourceGroupId", "hardware",
                            "storage", "sleepTimeSeconds", "secrets", "variables"});
  if (unknown) {
    co_await refuse_field(visit, *unknown);
    co_return;
  }
  co_await copy_repo(visit, from, *to, std::move(asked));
}

Task<void> move_repo(Visit& visit, json::object asked) {
  const std::string kind = text_of(asked, "type").value_or("model");
  const auto from = canonical_repo(kind, text_of(asked, "fromRepo").value_or(""));
  const auto to = canonical_repo(kind, text_of(asked, "toRepo").value_or(""));
  if (!from || !to || !is_plain(asked)) {
    co_await not_understood(visit, "\"fromRepo\" and \"toRepo\" are no names of repositories");
    co_return;
  }
  co_await copy_repo(visit, *from, *to, std::move(asked));
}

// The files that a new repository begins with; nothing: they can't be understood.
std::optional<std::vector<InlineFile>> first_files(const json::object& asked) {
  std::vector<InlineFile> out;
  const auto* files = asked.if_contains("files");
  if (files == nullptr || files->is_null()) return out;
  if (!files->is_array() || files->get_array().size() > k_objects_most) return std::nullopt;
  for (const json::value& value: files->get_array()) {
    const auto* file = value.if_object();
    if (file == nullptr) return std::nullopt;
    auto read = read_inline_file(*file);
    if (!read) return std::nullopt;
    out.push_back(std::move(*read));
  }
  return out;
}

Task<void> create_repo(Visit& visit, json::object asked) {
  const auto owner = text_of(asked, "organization");
  const std::string name = text_of(asked, "name").value_or("");
  const std::string whole = owner ? *owner + "/" + name : name;
  const auto repo = canonical_repo(text_of(asked, "type").value_or("model"), whole);
  const auto files = first_files(asked);
  if (!repo || !files) {
    std::string why = repo ? "a file of the new repository is not understood"
                           : "\"name\" is no name of a repository";
    co_await not_understood(visit, std::move(why));
    co_return;
  }
  visit.asked.repo = *repo;
  const auto unknown = unknown_field(
      asked, {"name", "organization", "type", "visibility", "private", "sdk", "hardware", "storage",
              "sleepTimeSeconds", "secrets", "variables", "resourceGroupId", "region", "license",
              "template", "files", "lfsmultipartthresh"});
  if (unknown) {
    co_await refuse_field(visit, *unknown);
    co_return;
  }
  const auto model = text_of(asked, "template");
  if (model) { // a space that begins as a copy of another one
    const auto from = canonical_repo("spaces", *model);
    if (!from) {
      co_await not_understood(visit, "\"template\" is no name of a repository");
      co_return;
    }
    const auto commit = co_await commit_of(visit, *from, "main");
    if (!commit) co_return;
    const bool permitted = co_await reference_permitted(visit, *from, *commit);
    if (!permitted) co_return;
    const bool same = co_await stands_still(visit, *from, "main", *commit);
    if (!same) co_return;
  }
  const bool pass = co_await inline_files_pass(visit, *files);
  if (!pass) co_return;
  Fetch fetch = forwarded(visit, same_target(visit), &asked);
  co_await pass_page(visit, std::move(fetch));
}

// Objects of this repository under their sha256 in another one. Where the hub keeps them (Xet) is
// taken from its own listing, not from the client.
Task<void> copy_objects(Visit& visit, json::object asked) {
  const std::string from = visit.asked.repo;
  const auto* target = asked.if_contains("target");
  const auto* wanted = asked.if_contains("files");
  std::optional<std::string> to;
  if (target != nullptr && target->is_object())
    to = canonical_repo(text_of(target->get_object(), "type").value_or("model"),
                        text_of(target->get_object(), "name").value_or(""));
  if (!to || wanted == nullptr || !wanted->is_array() ||
      wanted->get_array().size() > k_objects_most) {
    co_await not_understood(visit, "\"target\" and \"files\" are expected");
    co_return;
  }
  const auto commit = co_await commit_of(visit, from, "main");
  if (!commit) co_return;
  Headers fields = forwarded_fields(visit);
  const TimePoint until = Clock::now() + k_patience;
  const Listing listing =
      co_await list_files(visit.gate, *visit.hub, from, *commit, std::move(fields), until);
  std::vector<NamedFile> files;
  json::array passed;
  for (const json::value& value: wanted->get_array()) {
    const auto* object = value.if_object();
    const auto oid = object != nullptr ? text_of(*object, "sha256") : std::nullopt;
    const auto digest = oid ? sha256_from_hex(*oid) : std::nullopt;
    const auto listed =
        std::find_if(listing.files.begin(), listing.files.end(),
                     [&](const auto& file) { return digest && file.lfs == digest; });
    if (listed == listing.files.end()) {
      co_await refuse(visit, Road::hub, "not-listed",
                      "an object that is not in the main branch of the repository can't be copied "
                      "through the gate");
      co_return;
    }
    NamedFile& file = files.emplace_back();
    file.path = listed->path;
    file.oid = listed->lfs;
    file.size = listed->size;
    json::object out{{"sha256", *oid}, {"filename", listed->path}};
    if (!listed->xet.empty()) out["xetHash"] = listed->xet;
    passed.push_back(std::move(out));
  }
  visit.asked.repo = *to;
  const bool judged = co_await judge_named(visit, from, *commit, files);
  if (!judged) co_return;
  const bool pass = co_await named_pass(visit, files);
  if (!pass) co_return;
  const RepoName name = split_repo(*to);
  json::object body;
  body["target"] =
      json::object{{"type", name.kind.substr(0, name.kind.size() - 1)}, {"name", name.name}};
  body["files"] = std::move(passed);
  Fetch fetch = forwarded(visit, same_target(visit), &body);
  co_await pass_page(visit, std::move(fetch));
}

Task<void> delete_objects(Visit& visit, json::object asked) {
  const auto* deletions = asked.if_contains("deletions");
  if (asked.size() != 1 || deletions == nullptr || !deletions->is_object()) {
    co_await not_understood(visit, "only \"deletions\" are expected here");
    co_return;
  }
  Fetch fetch = forwarded(visit, same_target(visit), &asked);
  co_await pass_status(visit, std::move(fetch));
}

} // namespace

Task<void> serve_change(Visit& visit) {
  visit.direction = Direction::push;
  const ServeLimits& limits = visit.gate.config.limits;
  const bool brings = visit.asked.change == Change::create_repo;
  const std::uint64_t most = brings ? limits.commit : limits.request_body;
  auto read = co_await read_object(visit, most);
  if (!read) co_return;
  json::object asked = std::move(*read);
  switch (visit.asked.change) {
  case Change::create_repo:
    co_await create_repo(visit, std::move(asked));
    break;
  case Change::move_repo:
    co_await move_repo(visit, std::move(asked));
    break;
  case Change::duplicate_repo:
    co_await duplicate_repo(visit, std::move(asked));
    break;
  case Change::branch:
    co_await create_branch(visit, std::move(asked));
    break;
  case Change::tag:
    co_await create_tag(visit, std::move(asked));
    break;
  case Change::squash:
    co_await squash(visit, std::move(asked));
    break;
  case Change::merge:
    co_await merge(visit, std::move(asked));
    break;
  case Change::discussion:
    co_await open_discussion(visit, std::move(asked));
    break;
  case Change::copy_objects:
    co_await copy_objects(visit, std::move(asked));
    break;
  case Change::delete_objects:
    co_await delete_objects(visit, std::move(asked));
    break;
  case Change::delete_repo:
  case Change::delete_ref:
  case Change::settings:
  case Change::discuss:
    co_await pass_plain(visit, std::move(asked));
    break;
  case Change::none:
    co_await not_understood(visit, "this change is not known to the gate");
    break;
  }
}

} // namespace hubgate::proxy
