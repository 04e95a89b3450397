#include "scanner/tree/tree.hpp"

#include "scanner/config/paths.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/glob.hpp"
#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace tree {

Judge::Judge(std::span<const TreeEntry> entries_, const TreeOptions& options_)
    : entries(entries_), options(options_) {
  report.format = k_tree_format;
  by_path.reserve(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    by_path.emplace(entries[i].path, i);
    report.size += entries[i].size;
    for (std::string_view folder = folder_of(entries[i].path); !folder.empty();
         folder = folder_of(folder))
      if (!folders.emplace(folder).second) break;
  }
}

std::size_t Judge::find(std::string_view path) const {
  const auto at = by_path.find(path);
  return at == by_path.end() ? k_none : at->second;
}

FileVerdict Judge::verdict_of(std::size_t index) const {
  FileVerdict out;
  const TreeEntry& entry = entries[index];
  if (entry.report == nullptr) return out;
  for (const auto& finding: entry.report->findings) {
    if (finding.severity == Severity::informational ||
        (out.worst && finding.severity <= *out.worst))
      continue;
    if (!holds_under(finding.condition, finding.where, entry.path)) continue;
    out.worst = finding.severity;
    out.finding = &finding;
  }
  return out;
}

void Judge::add(const Rule& rule, std::string_view path, std::string_view evidence,
                std::optional<Severity> severity) {
  Finding finding;
  finding.rule = rule.id;
  finding.klass = rule.klass;
  finding.severity = severity.value_or(rule.severity);
  finding.reach = rule.reach;
  finding.where = escaped(path);
  finding.evidence = printable(evidence);
  finding.cwe = rule.cwe;
  finding.atlas = rule.atlas;
  finding.techniques = rule.techniques;
  add(std::move(finding));
}

void Judge::add(Finding finding) {
  if (report.findings.size() < options.max_findings) {
    report.findings.push_back(std::move(finding));
    return;
  }
  // The mildest goes, as in the report of a file.
  ++report.dropped;
  const auto mildest =
      std::min_element(report.findings.begin(), report.findings.end(),
                       [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  if (mildest != report.findings.end() && mildest->severity < finding.severity)
    *mildest = std::move(finding);
}

void Judge::gap(Reason reason, Reach reach, std::string_view path, std::string_view detail) {
  gap(Gap{reason, reach, escaped(path), 0, printable(detail), {}});
}

void Judge::gap(Gap gap) {
  constexpr std::size_t k_gaps = 1000;
  if (report.gaps.size() < k_gaps) report.gaps.push_back(std::move(gap));
}

namespace {

bool is_dot_git(std::string_view target) {
  while (!target.empty()) {
    const std::size_t end = std::min(target.find_first_of("/\\"), target.size());
    if (lower_case(target.substr(0, end)) == ".git") return true;
    target.remove_prefix(std::min(end + 1, target.size()));
  }
  return false;
}

// The cache of the hub's own client keeps a snapshot's files as links to ../../blobs/<id>.
bool is_cache_blob(std::string_view target) {
  std::string_view rest = target;
  bool climbed = false;
  while (rest.starts_with("../")) {
    rest.remove_prefix(3);
    climbed = true;
  }
  if (!climbed || !rest.starts_with("blobs/")) return false;
  rest.remove_prefix(6);
  return (rest.size() == 40 || rest.size() == 64) &&
         rest.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void judge_link(Judge& judge, const TreeEntry& entry, std::size_t& cached) {
  const ResolvedPath to = resolve_path(entry.path, entry.target);
  const std::string shown = entry.path + " -> " + entry.target;
  if (is_cache_blob(entry.target) && to.kind == PathKind::climbs) {
    if (cached++ == 0)
      judge.gap(Reason::unreadable, Reach::load, entry.path,
                "a link into the cache that this folder belongs to; scan the folder that has "
                "\"blobs\" in it");
  } else if (to.kind != PathKind::inside || is_dot_git(entry.target)) {
    const bool harmless = judge.options.plain_folder && !is_dot_git(entry.target) &&
                          !config::judge_path(entry.target).sensitive;
    judge.add(rule(RuleId::link_outside), entry.path, shown,
              harmless ? std::optional(Severity::suspicious) : std::nullopt);
  }
}

void judge_cases(Judge& judge) {
  std::unordered_map<std::string, std::size_t> folded;
  folded.reserve(judge.entries.size());
  for (std::size_t i = 0; i < judge.entries.size(); ++i) {
    const TreeEntry& entry = judge.entries[i];
    const auto [at, fresh] = folded.emplace(lower_case(entry.path), i);
    const TreeEntry& other = judge.entries[at->second];
    if (fresh || other.path == entry.path) continue;
    const bool link = entry.mode == FileMode::symlink || other.mode == FileMode::symlink;
    judge.add(rule(RuleId::case_duplicate), entry.path, other.path + " and " + entry.path,
              link ? std::optional(Severity::malicious) : std::nullopt);
  }
}

} // namespace

void judge_entries(Judge& judge) {
  std::size_t cached = 0;
  for (const TreeEntry& entry: judge.entries) {
    switch (entry.mode) {
    case FileMode::symlink:
      judge_link(judge, entry, cached);
      break;
    case FileMode::submodule:
      judge.add(rule(RuleId::submodule), entry.path, "commit " + entry.sha256);
      break;
    case FileMode::regular:
    case FileMode::executable:
      if (entry.pointer) {
        judge.add(rule(RuleId::lfs_pointer), entry.path, "the object was never fetched");
        judge.gap(Reason::unreadable, Reach::load, entry.path,
                  "a Git LFS pointer: the object itself is not here");
      } else if (entry.report != nullptr && entry.report->format == "pickle" &&
                 lower_case(name_of(entry.path)).ends_with(".skops")) {
        judge.add(rule(RuleId::named_skops), entry.path, "a pickle, not an archive");
      } else if (entry.report == nullptr && judge.options.all_scanned && tree_decides(entry.path)) {
        judge.gap(Reason::unreadable, Reach::load, entry.path, "this file was not read");
      }
    }
  }
  judge_cases(judge);
}

} // namespace tree

Report judge_tree(std::span<const TreeEntry> entries, const TreeOptions& options) {
  tree::Judge judge(entries.first(std::min(entries.size(), options.max_entries)), options);
  if (entries.size() > options.max_entries)
    judge.gap(Reason::budget, Reach::load, "",
              "more than " + std::to_string(options.max_entries) + " files");
  tree::judge_entries(judge);
  tree::judge_references(judge);
  tree::judge_closure(judge);
  tree::judge_repository(judge);
  tree::judge_shadows(judge);
  tree::judge_weights(judge);
  tree::judge_sizes(judge);
  tree::judge_templates(judge);
  tree::judge_licences(judge);
  return std::move(judge.report);
}

namespace {

bool ends_with_any(std::string_view name, std::span<const std::string_view> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

} // namespace

bool tree_decides(std::string_view path) {
  static constexpr std::array<std::string_view, 12> k_suffixes{".py",    ".json",  ".yaml", ".yml",
                                                               ".toml",  ".ipynb", ".cfg",  ".md",
                                                               ".jinja", ".pbtxt", ".xml",  ".pyi"};
  static constexpr std::array<std::string_view, 6> k_names{
      "mlmodel", ".gitattributes", ".gitmodules", ".lfsconfig", "requirements.txt", "modelfile"};
  const std::string name = lower_case(name_of(path));
  return ends_with_any(name, k_suffixes) ||
         std::find(k_names.begin(), k_names.end(), name) != k_names.end();
}

bool is_model_file(std::string_view path) {
  static constexpr std::array<std::string_view, 30> k_suffixes{
      ".bin",   ".ckpt",        ".gguf",    ".ggml",   ".h5",      ".hdf5", ".joblib", ".keras",
      ".mar",   ".model",       ".msgpack", ".nemo",   ".npy",     ".npz",  ".onnx",   ".params",
      ".pb",    ".pickle",      ".pkl",     ".pt",     ".pt2",     ".pte",  ".pth",    ".parquet",
      ".arrow", ".safetensors", ".skops",   ".tflite", ".mlmodel", ".dat"};
  return ends_with_any(lower_case(name_of(path)), k_suffixes);
}

} // namespace hubgate
