#pragma once
// What zip, tar and 7z say of their members: the rules about names, links and devices in one place,
// so that a name is judged alike whatever archive it comes in. The rules belong to the format
// "archive"; the other archives report them.
#include "scanner/core/session.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

namespace hubgate {

namespace archive_rules {
extern const Rule& traversal;
extern const Rule& name_trick;
extern const Rule& name_too_long;
extern const Rule& duplicate_name;
extern const Rule& case_collision;
extern const Rule& link;
extern const Rule& link_escape;
extern const Rule& link_through;
extern const Rule& device;
extern const Rule& encrypted;
extern const Rule& exotic_method;
extern const Rule& directory_data;
} // namespace archive_rules

enum class MemberKind { file, directory, symlink, hardlink, device };

struct MemberFacts {
  std::string_view name;    ///< raw bytes
  std::uint64_t offset = 0; ///< of the member's header, for the findings
  MemberKind kind = MemberKind::file;
  std::string_view target = {}; ///< of a link
};

/// Watches the members of one archive.
class MemberNames {
public:
  /// `duplicate` is the severity of two members with one name: readers of zip and 7z differ in
  /// which one they take, those of tar agree on the last.
  MemberNames(Session& session, Severity duplicate) : session_(session), duplicate_(duplicate) {}

  /// All of the following.
  void check(const MemberFacts& member);
  void check_name(std::string_view name, std::uint64_t offset);
  void check_duplicate(const MemberFacts& member);
  /// In the order in which members are unpacked: a later one may go through an earlier link.
  void check_link(const MemberFacts& member);

private:
  Session& session_;
  Severity duplicate_;
  std::unordered_set<std::string> paths_;
  std::unordered_set<std::string> folded_;
  std::unordered_set<std::string> links_;
};

/// `name` with '/' between parts, without "." parts and empty parts; ".." stays.
std::string canonical_path(std::string_view name);

/// True when a path that starts `depth` folders below the root climbs above it.
bool climbs_out(std::string_view path, std::size_t depth);

} // namespace hubgate
