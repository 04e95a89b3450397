#include "hook/lfs_change.hpp"

#include "scanner/git/pointer.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace hubgate {
namespace {

constexpr std::size_t k_depth = 512;
constexpr std::size_t k_tag_depth = 64;
/// Version, "sha256:" and 64 digits take more.
constexpr std::uint64_t k_pointer_least = 90;
constexpr std::uint64_t k_attributes_most = std::uint64_t{1} << 20;

constexpr std::string_view k_attributes = ".gitattributes";

bool is_file(const git::TreeEntry& entry) {
  return !entry.is_tree() && !entry.is_symlink() && !entry.is_submodule();
}

/// A path that is another blob now; `after` is zero where it is gone.
struct Changed {
  std::string path;
  git::Oid before;
  git::Oid after;
};

struct Tip {
  git::Oid commit;
  git::Oid tree;
};

class Comparison {
public:
  explicit Comparison(const LfsChangeWorld& world) : world_(world) {}

  Result<std::optional<Tip>> tip_of(git::Oid oid);
  /// The files that differ between two trees.
  Result<std::vector<Changed>> between(const git::Oid& before, const git::Oid& after);
  /// The pointer that a blob is, if it is one.
  Result<std::optional<git::Pointer>> pointer(const git::Oid& oid);
  Result<std::string> text(const git::Oid& oid);
  /// Asks for many sizes at once.
  Result<void> look_at(const std::vector<Changed>& changed);
  /// Hash and size of a blob's bytes.
  Result<std::pair<Sha256, std::uint64_t>> digest(const git::Oid& oid);

private:
  struct Pair {
    std::string path;
    git::Oid before;
    git::Oid after;
    std::size_t depth = 0;
  };
  Result<void> compare(const Pair& folder, std::vector<Pair>& open, std::vector<Changed>& out);

  const LfsChangeWorld& world_;
  std::uint64_t entries_ = 0;
  std::map<git::Oid, std::uint64_t> sizes_; ///< of blobs
};

Result<std::optional<Tip>> Comparison::tip_of(git::Oid oid) {
  Tip out;
  for (std::size_t depth = 0; depth <= k_tag_depth; ++depth) {
    const LoadedObject object = HUBGATE_TRY(world_.objects.read(oid));
    if (object.kind() == git::Kind::blob) break;
    if (object.kind() == git::Kind::tree) {
      out.tree = oid;
      return std::optional(out);
    }
    if (object.kind() == git::Kind::commit) {
      const auto commit = git::parse_commit(object.bytes());
      if (!commit) break;
      out.commit = oid;
      oid = commit->tree;
    } else {
      const auto tag = git::parse_tag(object.bytes());
      if (!tag) break;
      oid = tag->object;
    }
  }
  return std::optional<Tip>();
}

Result<std::vector<Changed>> Comparison::between(const git::Oid& before, const git::Oid& after) {
  std::vector<Changed> out;
  std::vector<Pair> open{{"", before, after}};
  while (!open.empty()) {
    const Pair folder = std::move(open.back());
    open.pop_back();
    if (entries_ > world_.max_entries) break;
    if (auto compared = compare(folder, open, out); !compared) return compared.error();
  }
  return out;
}

Result<void> Comparison::compare(const Pair& folder, std::vector<Pair>& open,
                                 std::vector<Changed>& out) {
  if (folder.before == folder.after || folder.depth > k_depth) return {};
  const auto old = world_.objects.read(folder.before);
  if (!old) return {}; // an old tree that can't be read says nothing for the new one
  const auto entries = git::parse_tree(old->bytes(), world_.objects.id_size());
  if (!entries) return {};
  std::map<std::string_view, const git::TreeEntry*> by_name;
  for (const auto& entry: *entries)
    by_name.emplace(entry.name, &entry);
  entries_ += entries->size();

  std::set<std::string_view> there;
  std::optional<LoadedObject> now;
  std::vector<git::TreeEntry> new_entries;
  if (!folder.after.is_zero()) {
    now.emplace(HUBGATE_TRY(world_.objects.read(folder.after)));
    auto parsed = git::parse_tree(now->bytes(), world_.objects.id_size());
    if (!parsed) return {}; // the walk says so
    new_entries = std::move(*parsed);
  }
  entries_ += new_entries.size();
  for (const auto& entry: new_entries) {
    there.insert(entry.name);
    const auto at = by_name.find(entry.name);
    if (at == by_name.end() || at->second->oid == entry.oid) continue;
    std::string path = folder.path + std::string(entry.name);
    if (entry.is_tree() && at->second->is_tree())
      open.push_back({std::move(path) + "/", at->second->oid, entry.oid, folder.depth + 1});
    else if (is_file(entry) && is_file(*at->second))
      out.push_back({std::move(path), at->second->oid, entry.oid});
  }
  // Of what is gone only the attributes matter.
  if (const auto at = by_name.find(k_attributes);
      at != by_name.end() && is_file(*at->second) && !there.contains(k_attributes))
    out.push_back({folder.path + std::string(k_attributes), at->second->oid, {}});
  return {};
}

Result<void> Comparison::look_at(const std::vector<Changed>& changed) {
  std::vector<git::Oid> wanted;
  for (const Changed& one: changed)
    for (const git::Oid& oid: {one.before, one.after})
      if (!oid.is_zero() && !sizes_.contains(oid) && world_.judged(oid) == nullptr)
        wanted.push_back(oid);
  const auto headers = HUBGATE_TRY(world_.objects.headers(wanted));
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (headers[i] && headers[i]->kind == git::Kind::blob) sizes_[wanted[i]] = headers[i]->size;
  return {};
}

Result<std::optional<git::Pointer>> Comparison::pointer(const git::Oid& oid) {
  if (const Judged* judged = world_.judged(oid)) return judged->pointer;
  const auto size = sizes_.find(oid);
  if (size == sizes_.end() || size->second < k_pointer_least || size->second > git::k_pointer_max)
    return std::optional<git::Pointer>();
  const LoadedObject object = HUBGATE_TRY(world_.objects.read(oid));
  return git::read_pointer(object.bytes(), object.bytes().size());
}

Result<std::string> Comparison::text(const git::Oid& oid) {
  if (oid.is_zero()) return std::string();
  const auto header = HUBGATE_TRY(world_.objects.header(oid));
  if (header.size > k_attributes_most) return std::string();
  const LoadedObject object = HUBGATE_TRY(world_.objects.read(oid));
  return std::string(as_text(object.bytes()));
}

Result<std::pair<Sha256, std::uint64_t>> Comparison::digest(const git::Oid& oid) {
  if (const Judged* judged = world_.judged(oid))
    return std::pair(judged->digest.sha256, judged->digest.size);
  BlockHasher hasher;
  auto streamed = world_.objects.stream_blob(oid, [&](Bytes bytes) -> Result<void> {
    hasher.update(bytes);
    return {};
  });
  if (!streamed) return streamed.error();
  const ObjectDigest out = hasher.finish();
  return std::pair(out.sha256, out.size);
}

/// What a change comes to.
struct Told {
  std::string_view rule;
  std::string evidence;
  std::string advice;
};

std::optional<Told> told_of_pointers(const Changed& one, const std::optional<git::Pointer>& before,
                                     const std::optional<git::Pointer>& after) {
  if (before.has_value() == after.has_value()) return std::nullopt;
  if (before)
    return Told{"lfs-to-file", one.path + " was LFS object " + before->oid + " and is a plain file",
                "keep it in LFS: git lfs track its pattern, then git add --renormalize the file"};
  return Told{"lfs-from-file", one.path + " was a plain file and is LFS object " + after->oid, ""};
}

std::optional<Told> told_of_attributes(const Changed& one, const std::string& before,
                                       const std::string& after) {
  const auto kept = lfs_patterns(after);
  std::string gone;
  for (const auto& pattern: lfs_patterns(before))
    if (std::find(kept.begin(), kept.end(), pattern) == kept.end())
      gone += (gone.empty() ? "" : ", ") + pattern;
  if (gone.empty()) return std::nullopt;
  return Told{"lfs-track-dropped", one.path + " sends to LFS no more: " + gone, ""};
}

} // namespace

// gitattributes(5): a pattern, perhaps in quotes, then blanks and attributes.
std::vector<std::string> lfs_patterns(std::string_view attributes) {
  std::vector<std::string> out;
  constexpr std::string_view k_blanks = " \t\r";
  while (!attributes.empty()) {
    const std::size_t end = std::min(attributes.find('\n'), attributes.size());
    std::string_view line = attributes.substr(0, end);
    attributes.remove_prefix(std::min(end + 1, attributes.size()));
    line.remove_prefix(std::min(line.find_first_not_of(k_blanks), line.size()));
    if (line.empty() || line.front() == '#') continue;
    std::size_t length = 0;
    if (line.front() == '"') {
      for (length = 1; length < line.size() && line[length] != '"'; ++length)
        if (line[length] == '\\') ++length;
      length = std::min(length + 1, line.size());
    } else {
      length = std::min(line.find_first_of(k_blanks), line.size());
    }
    const std::string pattern(line.substr(0, length));
    line.remove_prefix(length);
    std::optional<bool> to_lfs;
    while (!line.empty()) {
      line.remove_prefix(std::min(line.find_first_not_of(k_blanks), line.size()));
      const std::string_view word = line.substr(0, line.find_first_of(k_blanks));
      line.remove_prefix(word.size());
      if (word == "filter=lfs")
        to_lfs = true;
      else if (word.starts_with("filter=") || word == "filter" || word == "-filter" ||
               word == "!filter")
        to_lfs = false;
    }
    if (!to_lfs) continue;
    std::erase(out, pattern);
    if (*to_lfs) out.push_back(pattern);
  }
  return out;
}

Result<std::vector<PushCase>> lfs_changes(const LfsChangeWorld& world) {
  std::vector<PushCase> out;
  Comparison comparison(world);
  // The same step of two refs that are judged alike is told once.
  std::set<std::tuple<git::Oid, git::Oid, std::size_t>> told;
  for (std::size_t ref = 0; ref < world.updates.size(); ++ref) {
    const git::RefUpdate& update = world.updates[ref];
    if (update.deletes() || update.before.is_zero()) continue;
    if (!told.emplace(update.before, update.after, world.classes[ref]).second) continue;
    const auto before = comparison.tip_of(update.before);
    if (!before || !*before) continue; // an old tip that can't be read says nothing for the new one
    const auto after = HUBGATE_TRY(comparison.tip_of(update.after));
    if (!after) continue;
    const auto changed = HUBGATE_TRY(comparison.between((*before)->tree, after->tree));
    if (auto looked = comparison.look_at(changed); !looked) return looked.error();
    for (const Changed& one: changed) {
      std::optional<Told> found;
      if (one.path == k_attributes || one.path.ends_with("/" + std::string(k_attributes)))
        found = told_of_attributes(one, HUBGATE_TRY(comparison.text(one.before)),
                                   HUBGATE_TRY(comparison.text(one.after)));
      else
        found = told_of_pointers(one, HUBGATE_TRY(comparison.pointer(one.before)),
                                 HUBGATE_TRY(comparison.pointer(one.after)));
      if (!found) continue;
      // What is gone is named by what it was.
      const git::Oid oid = one.after.is_zero() ? one.before : one.after;
      const auto [sha256, size] = HUBGATE_TRY(comparison.digest(oid));
      PushCase made;
      made.item.place = {ref, after->commit, ref};
      made.item.oid = oid;
      made.item.advice = found->advice;
      made.item.context = context_of(world.environment);
      made.item.context.path = one.path;
      made.item.context.revision = update.name;
      made.item.context.sha256 = sha256;
      made.item.context.size = size;
      Report report;
      report.format = "git-blob";
      report.size = size;
      report.findings.push_back(hook_finding(git::pointer_rule(found->rule), found->evidence));
      // Notes and tables move in and out of LFS every day.
      if (found->rule == "lfs-to-file" && !is_model_name(one.path))
        report.findings.back().severity = Severity::informational;
      made.report = std::make_shared<const Report>(std::move(report));
      out.push_back(std::move(made));
    }
  }
  return out;
}

} // namespace hubgate
