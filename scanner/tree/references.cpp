// What files of the repository name: other files, code, other repositories.
#include "scanner/core/glob.hpp"
#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <algorithm>
#include <array>

namespace hubgate::tree {
namespace {

/// Findings of one rule that a tree lists about what is merely missing or elsewhere.
constexpr std::size_t k_listed = 50;

bool is_index(std::string_view path) {
  return lower_case(name_of(path)).ends_with(".index.json");
}

// Configurations of honest models hold paths of the machine that saved them; nobody opens those.
bool is_stale_path_usual(std::string_view path) {
  const std::string name = lower_case(name_of(path));
  return name.ends_with("config.json") || name.ends_with(".yaml") || name.ends_with(".yml") ||
         name.ends_with(".csv") || name.ends_with(".jsonl") || name == "readme.md";
}

bool is_pickle_format(std::string_view format) {
  static constexpr std::array<std::string_view, 5> k_formats{"pickle", "pytorch", "joblib",
                                                             "torchscript", "dill"};
  return std::find(k_formats.begin(), k_formats.end(), format) != k_formats.end();
}

bool has_pickle_name(std::string_view path) {
  static constexpr std::array<std::string_view, 8> k_suffixes{
      ".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill"};
  const std::string name = lower_case(path);
  return std::any_of(k_suffixes.begin(), k_suffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

std::string quoted_edge(std::string_view from, std::string_view to) {
  return std::string(from) + " names " + std::string(to);
}

class References {
public:
  explicit References(Judge& judge) : judge_(judge) {}

  void run() {
    std::size_t seen = 0;
    for (std::size_t i = 0; i < judge_.entries.size(); ++i) {
      const TreeEntry& entry = judge_.entries[i];
      if (entry.report == nullptr) continue;
      for (const auto& reference: entry.report->references) {
        if (++seen > judge_.options.max_references) {
          judge_.gap(Reason::budget, Reach::load, entry.path,
                     "more references between files than are followed");
          return;
        }
        if (holds_under(reference.condition, reference.where, entry.path)) one(i, reference);
      }
    }
  }

private:
  void one(std::size_t from, const Reference& reference) {
    if (reference.kind == "file")
      file(from, reference);
    else if (reference.kind == "extent")
      extent(from, reference);
    else if (reference.kind == "code")
      code(from, reference);
    else if (reference.kind == "remote-code")
      remote_code(from, reference.target);
    else if (reference.kind == "import")
      import(from, reference);
    else if (reference.kind == "repository")
      repository(from, reference.target);
  }

  void outside(std::size_t from, std::string_view target, PathKind kind) {
    const std::string& path = judge_.entries[from].path;
    std::optional<Severity> severity;
    if (kind != PathKind::climbs && !is_index(path) && is_stale_path_usual(path))
      severity = Severity::informational;
    judge_.add(rule(RuleId::reference_outside), path, quoted_edge(path, target), severity);
  }

  void missing(RuleId id, std::size_t from, std::string_view target) {
    if (missing_++ < k_listed)
      judge_.add(rule(id), judge_.entries[from].path,
                 quoted_edge(judge_.entries[from].path, target));
  }

  void file(std::size_t from, const Reference& reference) {
    // What a member of an archive names lies beside it in the archive.
    if (!reference.where.empty()) return;
    const std::string& path = judge_.entries[from].path;
    const ResolvedPath to = resolve_path(path, reference.target);
    if (to.kind != PathKind::inside) {
      outside(from, reference.target, to.kind);
      return;
    }
    const std::size_t at = judge_.find(to.path);
    if (is_index(path)) shard(from, reference.target, at);
    if (at == k_none && !judge_.folders.contains(to.path) && !behind_link(from, to.path))
      missing(RuleId::reference_missing, from, reference.target);
    if (at != k_none && judge_.entries[at].mode == FileMode::symlink)
      judge_.add(rule(RuleId::reference_link), path, quoted_edge(path, reference.target));
  }

  // A folder on the way is a link.
  bool behind_link(std::size_t from, std::string_view path) {
    for (std::string_view folder = folder_of(path); !folder.empty(); folder = folder_of(folder)) {
      const std::size_t at = judge_.find(folder);
      if (at == k_none || judge_.entries[at].mode != FileMode::symlink) continue;
      judge_.add(rule(RuleId::reference_link), judge_.entries[from].path,
                 quoted_edge(judge_.entries[from].path, path));
      return true;
    }
    return false;
  }

  // "name 4096": so many bytes of it are read.
  void extent(std::size_t from, const Reference& reference) {
    const std::string& path = judge_.entries[from].path;
    const auto named = named_bytes(path, reference.target);
    if (!named || !reference.where.empty()) return;
    const auto& [name, bytes] = *named;
    const ResolvedPath to = resolve_path(path, name);
    if (to.kind != PathKind::inside) return; // the reference to the file says so
    const std::size_t at = judge_.find(to.path);
    if (at == k_none) {
      if (judge_.folders.contains(to.path)) return;
      missing(RuleId::reference_missing, from, name);
      return;
    }
    const TreeEntry& entry = judge_.entries[at];
    if (entry.mode == FileMode::symlink || entry.pointer || entry.size >= bytes) return;
    judge_.add(rule(RuleId::companion_short), path,
               entry.path + " has " + std::to_string(entry.size) + " bytes, " +
                   std::to_string(bytes) + " are read");
  }

  // An index of safetensors promises that no shard of it is unpickled.
  void shard(std::size_t from, std::string_view target, std::size_t at) {
    const std::string& path = judge_.entries[from].path;
    const bool named = has_pickle_name(target);
    const Report* report = at == k_none ? nullptr : judge_.entries[at].report;
    const bool is_pickle = report != nullptr && is_pickle_format(report->format);
    if (lower_case(path).find("safetensors") == std::string::npos || (!named && !is_pickle)) return;
    judge_.add(rule(RuleId::index_kind), path, quoted_edge(path, target));
  }

  // "modeling_x.py", "modeling_x.Class", "sub/modeling_x.py", "pkg.modeling_x".
  std::size_t find_code(std::string_view folder_file, std::string_view target) const {
    const ResolvedPath to = resolve_path(folder_file, target);
    if (to.kind != PathKind::inside) return k_none;
    if (const std::size_t at = judge_.find(to.path); at != k_none) return at;
    if (target.ends_with(".py")) return k_none;
    std::string path(target);
    for (int turn = 0; turn < 2; ++turn) {
      std::string candidate = path;
      std::replace(candidate.begin(), candidate.end(), '.', '/');
      for (const char* end: {".py", "/__init__.py"}) {
        const std::size_t at = judge_.find(resolve_path(folder_file, candidate + end).path);
        if (at != k_none) return at;
      }
      const std::size_t dot = path.rfind('.'); // the last part may be the class
      if (dot == std::string::npos || dot == 0) break;
      path.resize(dot);
    }
    return k_none;
  }

  void code(std::size_t from, const Reference& reference) {
    const std::string& path = judge_.entries[from].path;
    if (!reference.where.empty()) return;
    const ResolvedPath to = resolve_path(path, reference.target);
    if (to.kind != PathKind::inside) {
      judge_.add(rule(RuleId::reference_outside), path, quoted_edge(path, reference.target));
      return;
    }
    std::size_t at = find_code(path, reference.target);
    if (at == k_none && path.find('/') != std::string::npos) at = find_code("", reference.target);
    if (at == k_none)
      missing(RuleId::code_missing, from, reference.target);
    else
      judge_.code.push_back({from, at});
  }

  void remote_code(std::size_t from, std::string_view target) {
    const std::string& path = judge_.entries[from].path;
    const std::size_t dashes = target.find("--");
    const std::string_view repo = target.substr(0, std::min(dashes, target.size()));
    if (!judge_.options.repo.empty() && lower_case(repo) == lower_case(judge_.options.repo) &&
        dashes != std::string_view::npos) {
      const std::size_t at = find_code(path, target.substr(dashes + 2));
      if (at == k_none)
        missing(RuleId::code_missing, from, target);
      else
        judge_.code.push_back({from, at});
      return;
    }
    judge_.add(rule(RuleId::remote_code), path, path + " runs code of " + std::string(target));
  }

  void repository(std::size_t from, std::string_view target) {
    if (repositories_++ < k_listed)
      judge_.add(rule(RuleId::other_repository), judge_.entries[from].path,
                 quoted_edge(judge_.entries[from].path, target));
  }

  void import(std::size_t from, const Reference& reference) {
    const std::string_view name = reference.target;
    if (name.empty() || name[0] == '.') return;
    judge_.imported.emplace(std::string(name.substr(0, name.find('.'))), from);
  }

  Judge& judge_;
  std::size_t missing_ = 0;
  std::size_t repositories_ = 0;
};

} // namespace

void judge_references(Judge& judge) {
  References(judge).run();
}

} // namespace hubgate::tree
