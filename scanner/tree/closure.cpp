// What runs when somebody loads the repository: its entry points, and what they import.
#include "scanner/core/evidence.hpp"
#include "scanner/core/glob.hpp"
#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <algorithm>
#include <array>
#include <deque>

namespace hubgate::tree {
namespace {

constexpr std::size_t k_listed = 50;   ///< entry points that are shown
constexpr std::size_t k_in_chain = 12; ///< files that one of them shows
constexpr std::size_t k_others = 100;  ///< notebooks and path files that are taken into it
constexpr std::size_t k_loose = 300;   ///< files without a known import, taken into the analysis

// The files of this repository that importing `name` from the file at `from` runs.
class Imports {
public:
  explicit Imports(const Judge& judge) : judge_(judge) {}

  void of(std::size_t from, std::string_view name, std::vector<std::size_t>& out) const {
    const std::string& path = judge_.entries[from].path;
    std::string folder(folder_of(path));
    if (!name.empty() && name[0] == '.') {
      name.remove_prefix(1);
      while (!name.empty() && name[0] == '.') { // one folder up each
        if (folder.empty()) return;
        folder = std::string(folder_of(folder));
        name.remove_prefix(1);
      }
      in(folder, name, out);
      return;
    }
    in(folder, name, out);
    if (!folder.empty()) in("", name, out);
  }

private:
  // Every part runs: the package's __init__ and the module; the last part may be no module.
  void in(const std::string& folder, std::string_view name, std::vector<std::size_t>& out) const {
    std::string path = folder;
    const auto take = [&](const std::string& file) {
      const std::size_t at = judge_.find(file);
      if (at != k_none) out.push_back(at);
    };
    if (name.empty()) take(path.empty() ? "__init__.py" : path + "/__init__.py");
    for (int part = 0; !name.empty() && part < 32; ++part) {
      const std::size_t end = std::min(name.find('.'), name.size());
      if (!path.empty()) path += '/';
      path += name.substr(0, end);
      take(path + ".py");
      take(path + "/__init__.py");
      name.remove_prefix(std::min(end + 1, name.size()));
    }
  }

  const Judge& judge_;
};

bool is_hidden(std::string_view path) {
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    if (part.starts_with(".") || part == "__pycache__") return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return !lower_case(path).ends_with(".py");
}

bool is_module(const TreeEntry& entry) {
  return (entry.mode == FileMode::regular || entry.mode == FileMode::executable) &&
         !entry.pointer && entry.report != nullptr && lower_case(entry.path).ends_with(".py");
}

// What holds Python without being a module: a notebook, lines that run at each start of Python.
bool holds_code(const TreeEntry& entry) {
  if ((entry.mode != FileMode::regular && entry.mode != FileMode::executable) || entry.pointer ||
      entry.report == nullptr)
    return false;
  if (entry.path.ends_with(".ipynb")) return entry.report->format == "notebook";
  const auto& found = entry.report->findings;
  return entry.path.ends_with(".pth") &&
         std::any_of(found.begin(), found.end(), [](const Finding& finding) {
           return finding.where.empty() && finding.rule.starts_with("pth-");
         });
}

// "ds" of "a/ds.py".
std::string_view stem_of(std::string_view path) {
  const std::string_view name = name_of(path);
  return name.substr(0, name.rfind('.'));
}

bool has_builder(const TreeEntry& entry) {
  return std::any_of(entry.report->findings.begin(), entry.report->findings.end(),
                     [&](const Finding& finding) {
                       return finding.rule == "python-entry-point" &&
                              holds_under(finding.condition, finding.where, entry.path);
                     });
}

// Why a file is an entry point by itself; "" when it is none. `loads`: for whoever loads the
// repository, not only for who installs or tests it.
std::string_view entry_kind(const Judge& judge, const TreeEntry& entry, bool& loads) {
  const TreeOptions& options = judge.options;
  loads = true;
  if (has_builder(entry)) return "dataset builder, runs when the data set is loaded";
  const std::string_view stem = stem_of(entry.path);
  const std::string_view folder = folder_of(entry.path);
  const std::string_view repo = options.repo.substr(options.repo.rfind('/') + 1);
  const std::string_view name = repo.empty() ? options.folder : repo;
  if (!stem.empty() && folder.empty() && stem == name)
    return "named like the repository, runs when it is loaded as a data set";
  if (folder.empty() && name_of(entry.path) == "hubconf.py") return "runs at torch.hub.load()";
  if (folder.empty() && name_of(entry.path) == "handler.py") return "runs in an inference endpoint";
  if (folder.empty() && name_of(entry.path) == "pipeline.py")
    return "a custom pipeline, runs when it is loaded";
  loads = false;
  if (folder.empty() && name_of(entry.path) == "app.py") return "runs in a space";
  // Inside of a package it is a module of that name.
  const bool in_package = judge.find(std::string(folder) + "/__init__.py") != k_none;
  if (name_of(entry.path) == "setup.py" && !in_package) return "runs when the package is installed";
  if (name_of(entry.path) == "conftest.py") return "runs when pytest collects tests";
  if (folder.empty() && (stem == "sitecustomize" || stem == "usercustomize"))
    return "runs whenever Python starts in this folder";
  return {};
}

/// The imports between files, looked up once.
class Graph {
public:
  explicit Graph(const Judge& judge)
      : judge_(judge), imports_(judge), known_(judge.entries.size(), false),
        targets_(judge.entries.size()) {}

  const std::vector<std::size_t>& of(std::size_t at) {
    if (known_[at]) return targets_[at];
    known_[at] = true;
    const TreeEntry& entry = judge_.entries[at];
    if (entry.report == nullptr) return targets_[at];
    std::vector<std::size_t>& out = targets_[at];
    for (const auto& reference: entry.report->references)
      if (reference.kind == "import" && reference.where.empty())
        imports_.of(at, reference.target, out);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

private:
  const Judge& judge_;
  Imports imports_;
  std::vector<bool> known_;
  std::vector<std::vector<std::size_t>> targets_;
};

/// Breadth first from the code that configurations name, then from the entry points.
class Closure {
public:
  explicit Closure(Judge& judge)
      : judge_(judge), graph_(judge), parent_(judge.entries.size(), k_none),
        reached_(judge.entries.size(), false) {
    for (const CodeEdge& edge: judge.code)
      reach(edge.to, edge.from);
    walk();
    named_ = order_.size();
    for (std::size_t i = 0; i < judge.entries.size(); ++i) {
      bool loads = false;
      if (!is_module(judge.entries[i])) continue;
      const std::string_view kind = entry_kind(judge, judge.entries[i], loads);
      if (kind.empty()) continue;
      entries_.push_back({i, kind, loads});
      reach(i, k_none);
    }
    walk();
  }

  struct Entry {
    std::size_t at;
    std::string_view kind;
    bool loads;
  };
  const std::vector<Entry>& entries() const { return entries_; }
  /// Files in the order in which they were reached; the first named() by configurations.
  const std::vector<std::size_t>& order() const { return order_; }
  std::size_t named() const { return named_; }
  bool reached(std::size_t at) const { return reached_[at]; }
  Graph& graph() { return graph_; }

  /// "config.json -> modeling.py -> util.py"
  std::string chain(std::size_t at) const {
    std::string out = judge_.entries[at].path;
    std::size_t steps = 0;
    for (std::size_t up = parent_[at]; up != k_none && steps < 8; up = parent_[up], ++steps)
      out = judge_.entries[up].path + " -> " + out;
    return out;
  }
  /// Where the chain begins; files that name each other have no beginning.
  std::size_t root(std::size_t at) const {
    for (std::size_t steps = 0; parent_[at] != k_none && steps < 256; ++steps)
      at = parent_[at];
    return at;
  }

private:
  void reach(std::size_t at, std::size_t from) {
    if (reached_[at]) return;
    reached_[at] = true;
    parent_[at] = from;
    order_.push_back(at);
  }
  void walk() {
    for (; next_ < order_.size(); ++next_) {
      const std::size_t at = order_[next_];
      for (const std::size_t target: graph_.of(at))
        reach(target, at);
    }
  }

  Judge& judge_;
  Graph graph_;
  std::vector<std::size_t> parent_;
  std::vector<bool> reached_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
  std::size_t named_ = 0;
  std::vector<Entry> entries_;
};

// "ds.py -> data.py -> util/net.py, other.py": depth first, each file once.
std::string shown_imports(const Judge& judge, Graph& graph, std::size_t from) {
  std::string out = judge.entries[from].path;
  std::vector<std::pair<std::size_t, std::size_t>> waiting; // with who imports it
  std::unordered_set<std::size_t> seen{from};
  const auto push = [&](std::size_t at) {
    const auto& targets = graph.of(at);
    for (std::size_t i = targets.size(); i-- > 0;)
      waiting.emplace_back(targets[i], at);
  };
  push(from);
  std::size_t last = from;
  while (!waiting.empty()) {
    const auto [at, by] = waiting.back();
    waiting.pop_back();
    if (!seen.insert(at).second) continue;
    if (seen.size() > k_in_chain) return out + ", ...";
    out += (by == last ? " -> " : ", ") + judge.entries[at].path;
    last = at;
    push(at);
  }
  return out;
}

void show_entries(Judge& judge, Closure& closure) {
  std::size_t listed = 0;
  std::unordered_set<std::size_t> named;
  for (const CodeEdge& edge: judge.code) {
    if (!named.insert(edge.to).second) continue;
    if (listed++ < k_listed)
      judge.add(rule(RuleId::entry_point), judge.entries[edge.to].path,
                "named by " + judge.entries[edge.from].path +
                    ", runs when it is loaded: " + shown_imports(judge, closure.graph(), edge.to));
  }
  for (const TreeEntry& entry: judge.entries)
    if (entry.path.ends_with(".ipynb") && entry.report != nullptr && listed++ < k_listed)
      judge.add(rule(RuleId::entry_point), entry.path, "cells, run when a person says so");
  for (const Closure::Entry& entry: closure.entries()) {
    if (named.contains(entry.at) || listed++ >= k_listed) continue;
    judge.add(rule(RuleId::entry_point), judge.entries[entry.at].path,
              std::string(entry.kind) + ": " + shown_imports(judge, closure.graph(), entry.at));
  }
}

} // namespace

void judge_closure(Judge& judge) {
  Closure closure(judge);
  std::unordered_map<std::size_t, const Closure::Entry*> entries;
  for (const Closure::Entry& entry: closure.entries())
    entries.emplace(entry.at, &entry);
  for (std::size_t i = 0; i < closure.order().size(); ++i) {
    const std::size_t at = closure.order()[i];
    const TreeEntry& entry = judge.entries[at];
    const std::string chain = closure.chain(at);
    const bool named = i < closure.named();
    if (named && is_hidden(entry.path)) judge.add(rule(RuleId::code_hidden), entry.path, chain);
    if (entry.report == nullptr) {
      if (named && judge.options.all_scanned && !tree_decides(entry.path))
        judge.gap(Reason::unreadable, Reach::load, entry.path, "code that was not read: " + chain);
      continue;
    }
    // What only an installation or the tests run says it itself.
    const auto root = entries.find(closure.root(at));
    if (root != entries.end() && !root->second->loads) continue;
    const FileVerdict verdict = judge.verdict_of(at);
    if (verdict.worst)
      judge.add(rule(RuleId::code_reached), entry.path,
                chain + ": " + verdict.finding->rule + ": " + verdict.finding->evidence,
                verdict.worst);
  }
  show_entries(judge, closure);
}

// What the analysis over several files found, but for what a file's own says already.
void judge_repository(Judge& judge) {
  const Report* found = judge.options.repository;
  if (found == nullptr) return;
  std::unordered_map<std::string, std::size_t> by_name; // as reports write paths
  for (std::size_t i = 0; i < judge.entries.size(); ++i)
    if (is_module(judge.entries[i]) || holds_code(judge.entries[i]))
      by_name.emplace(escaped(judge.entries[i].path), i);
  for (const Finding& finding: found->findings) {
    if (finding.severity == Severity::informational) continue;
    const auto at = by_name.find(finding.where);
    if (at != by_name.end()) {
      const TreeEntry& entry = judge.entries[at->second];
      const auto& own = entry.report->findings;
      const bool anywhere = !is_module(entry); // the offsets of recovered code are its file's
      const bool known = std::any_of(own.begin(), own.end(), [&](const Finding& other) {
        return other.where.empty() && other.rule == finding.rule &&
               (anywhere || other.offset == finding.offset) && other.severity >= finding.severity &&
               holds_under(other.condition, other.where, entry.path);
      });
      if (known) continue;
    }
    judge.add(finding);
  }
  for (const Gap& gap: found->gaps)
    judge.gap(gap);
}

} // namespace hubgate::tree

namespace hubgate {
namespace {

struct Wanted {
  std::size_t at;
  bool at_load;
};

// Modules in the order of their worth: what runs at load, what other files import, the rest.
std::vector<Wanted> wanted_code(const tree::Judge& judge, tree::Closure& closure) {
  std::vector<Wanted> out;
  std::vector<bool> taken(judge.entries.size(), false);
  const auto take = [&](std::size_t at, bool at_load) {
    if (taken[at] || (!tree::is_module(judge.entries[at]) && !tree::holds_code(judge.entries[at])))
      return;
    taken[at] = true;
    out.push_back({at, at_load});
  };
  for (const std::size_t at: closure.order())
    take(at, true);
  for (std::size_t i = 0; i < judge.entries.size(); ++i) {
    if (!tree::is_module(judge.entries[i])) continue;
    for (const std::size_t target: closure.graph().of(i)) {
      if (target == i) continue;
      take(i, false);
      take(target, false);
    }
  }
  // A path file runs at each start of the Python that it is installed into.
  std::size_t others = 0;
  for (std::size_t i = 0; i < judge.entries.size() && others < tree::k_others; ++i) {
    if (!tree::holds_code(judge.entries[i])) continue;
    ++others;
    take(i, judge.entries[i].path.ends_with(".pth"));
  }
  const std::size_t most = out.size() + tree::k_loose;
  for (std::size_t i = 0; i < judge.entries.size() && out.size() < most; ++i)
    take(i, false);
  return out;
}

} // namespace

RepositoryCode repository_code(std::span<const TreeEntry> entries, const TreeOptions& options,
                               const std::function<std::optional<std::string>(std::size_t)>& read) {
  RepositoryCode out;
  tree::Judge judge(entries.first(std::min(entries.size(), options.max_entries)), options);
  const auto modules = std::count_if(judge.entries.begin(), judge.entries.end(), tree::is_module);
  const auto others = std::count_if(judge.entries.begin(), judge.entries.end(), tree::holds_code);
  if (modules == 0 || modules + others < 2) return out;
  tree::judge_references(judge);
  tree::Closure closure(judge);
  for (const Wanted& wanted: wanted_code(judge, closure)) {
    const TreeEntry& entry = judge.entries[wanted.at];
    const bool fits = out.bundle.has_room(entry.path, entry.size);
    const auto text = fits ? read(wanted.at) : std::nullopt;
    const auto when = wanted.at_load ? python::When::at_load : python::When::on_call;
    const bool added = text && out.bundle.add(entry.path, *text, when);
    if (!added && wanted.at_load && out.gaps.size() < 100)
      out.gaps.push_back(Gap{fits ? Reason::unreadable : Reason::budget,
                             Reach::load,
                             escaped(entry.path),
                             0,
                             "runs at load, and was not analysed together with the other files",
                             {}});
  }
  return out;
}

} // namespace hubgate
