#pragma once
// The tree verdict: what shows only across the files of a repository. A pure function over the list
// of its entries and the reports of its files (law 6: no content is opened here, no path followed):
// references between files, names that shadow a library, copies of weights in another format,
// links, submodules. See scanner/tree/README.md for the rules.
#include "scanner/code/python/repository.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/report.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

enum class FileMode { regular, executable, symlink, submodule };

struct TreeEntry {
  std::string path; ///< in the repository, '/' between parts, raw bytes, no leading '/'
  FileMode mode = FileMode::regular;
  std::string sha256; ///< of the content in hex; of a submodule its commit; "" when nobody knows
  std::uint64_t size = 0;
  std::string target; ///< where a symbolic link points, raw
  /// A Git LFS pointer whose object is not here: the report is of the pointer.
  bool pointer = false;
  const Report* report = nullptr; ///< outlives the call; null: not scanned
};

struct TreeOptions {
  std::string_view repo; ///< "owner/name" without the kind; "" when unknown
  std::size_t max_entries = 200'000;
  std::size_t max_references = 1'000'000;
  std::size_t max_findings = 1000;
  /// The caller scanned every file that decides (see tree_decides()): one without a report is a
  /// gap. Off where the entries' bytes come later.
  bool all_scanned = true;
  /// The name of the folder that was scanned, where `repo` is not known.
  std::string_view folder = {};
  /// What scan_repository() made of repository_code(), with its gaps; null when it was not asked.
  /// Outlives the call.
  const Report* repository = nullptr;
  /// A folder of some machine rather than a repository: its links may honestly lead elsewhere, and
  /// only those into places with secrets are an attack.
  bool plain_folder = false;
};

/// Report::format of a tree verdict.
inline constexpr std::string_view k_tree_format = "tree";

/// The verdict: format k_tree_format, `where` of findings and gaps is the path of the file they are
/// about. Linear in the entries and references, but for sorts.
Report judge_tree(std::span<const TreeEntry> entries, const TreeOptions& options);

/// The code of a repository, for the analysis across its files in a worker (scan_repository()).
struct RepositoryCode {
  python::BundleWriter bundle;
  std::vector<Gap> gaps; ///< code that runs at load and is not in it
  /// With fewer files there is nothing between them.
  bool wanted() const { return bundle.files() >= 2; }
};

/// Gathers it, what runs at load first. `read` gives the bytes of an entry by its index, or
/// nothing; it is asked for files that fit into the bundle only.
RepositoryCode repository_code(std::span<const TreeEntry> entries, const TreeOptions& options,
                               const std::function<std::optional<std::string>(std::size_t)>& read);

/// Key of a stored verdict: sha256 (hex) of the sorted (path, mode, sha256) list, the repository's
/// name and the rules of this pass.
std::string tree_key(std::span<const TreeEntry> entries, std::string_view repo);

/// Whether a file of this name can change a tree verdict by what is in it: code, configuration,
/// indexes. Weights and data are judged alone.
bool tree_decides(std::string_view path);

/// Whether all that can be said against the file, under its path, is that no format claims it and
/// the generic scan found nothing in it.
bool is_only_opaque(const TreeEntry& entry);

/// For each entry that is only opaque, the index of another one whose complete analysis says what
/// all of its bytes are (`described` references); nothing for the others.
std::vector<std::optional<std::size_t>> described_files(std::span<const TreeEntry> entries);

/// The report of such a file: the gap is closed, and a finding says by whom (a path).
Report as_described(const Report& report, std::string_view by);

/// Whether a loader opens files of this name as weights or data.
bool is_model_file(std::string_view path);

std::span<const Rule> tree_rules();

} // namespace hubgate
