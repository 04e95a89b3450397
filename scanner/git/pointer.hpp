#pragma once
// Git LFS pointers (git-lfs docs/spec.md), read twice: as the specification wants them, and as
// permissively as the readers that people have. git-lfs 3.3 takes the first 1024 bytes of a file,
// trims white space, skips empty lines and carriage returns, knows three version names and ext-*
// lines, and takes upper-case ids; others search for "oid sha256:". Whatever any of them would
// follow is followed by the gate; the difference from the specification is a finding (GIT-002).
#include "scanner/core/bytes.hpp"
#include "scanner/core/format.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hubgate::git {

/// Readers look at this many bytes of a file; a canonical pointer is shorter.
inline constexpr std::size_t k_pointer_max = 1024;

struct Pointer {
  std::string oid;                   ///< 64 lower-case hex digits
  std::optional<std::uint64_t> size; ///< as claimed, in bytes
  /// git-lfs itself would replace the file; otherwise only looser readers would.
  bool read_by_git_lfs = false;
  /// What is not canonical, in words for a person; nothing in them comes from the file.
  std::vector<std::string> problems;
  /// Every other id that the text names, in case a reader takes the last and not the first.
  std::vector<std::string> other_oids;
};

/// Reads the head of a file (at least its first k_pointer_max bytes, or all) of `size` bytes.
/// Nothing when no reader would take it for a pointer.
std::optional<Pointer> read_pointer(Bytes head, std::uint64_t size);

/// Rules of the hook about pointers and what they point at.
std::span<const Rule> pointer_rules();

/// One of pointer_rules() by its id.
const Rule& pointer_rule(std::string_view id);

/// Where a server keeps the object `oid` (64 hex digits): fills a template with {root}, {oid},
/// {A} (one digit) and {A:B} (digits A up to B, either may be left out). Nothing when the template
/// is malformed.
std::optional<std::string> expand_lfs_path(std::string_view path_template, std::string_view root,
                                           std::string_view oid);

/// The shapes that servers use: Gitea, Forgejo, GitLab, lfs-test-server; git-lfs and soft-serve;
/// gogs.
std::span<const std::string_view> default_lfs_templates();

} // namespace hubgate::git
