#pragma once
// The section `lfs` of hubgate.yaml: where the bytes behind a pointer come from, and what is done
// when they don't.
#include "policy/yaml.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hubgate {

/// One place that may have LFS objects. In `place`, `paths` and `key` the fields {repo} and
/// {repo_id} stand for the repository of the push.
struct LfsSourceConfig {
  enum class Kind { folder, s3, batch };
  Kind kind = Kind::folder;
  /// folder: a path, relative to the repository. s3: the endpoint's URL. batch: the URL before
  /// "/objects/batch".
  std::string place;

  // folder
  std::vector<std::string> paths; ///< see git::expand_lfs_path(); empty = every usual shape
  bool shared = true;             ///< other repositories may keep their objects there too

  // s3
  std::string bucket;
  std::string region = "us-east-1";
  std::string key = "{0:2}/{2:4}/{4:}"; ///< of an object, like `paths` without {root}
  bool path_style = true;               ///< URL/BUCKET/KEY, else BUCKET.URL/KEY
  std::string credentials;              ///< a file; "" = the environment

  // batch
  std::string user;  ///< not empty: HTTP Basic with the token as password, else Bearer
  std::string token; ///< a file; "" = no authentication

  // both of the latter
  std::string ca;                 ///< a file of certificates to trust; "" = the system's
  std::vector<std::string> hosts; ///< "host[:port]" that links and redirects may lead to
};

struct LfsConfig {
  std::vector<LfsSourceConfig> sources; ///< in the order in which they are asked
  /// accept: an object whose id and size have a record is judged by it, its bytes are not read. For
  /// servers that refuse bytes under a wrong id.
  enum class Known { read, accept } known = Known::read;
  /// pending: an object that is not there is a finding that a policy may let pass; what passes is
  /// listed until it was scanned.
  enum class Absent { refuse, pending } absent = Absent::refuse;
  /// What is done with the blocked objects of a refused push.
  enum class Orphans { keep, remove, quarantine } orphans = Orphans::keep;
  std::uint64_t max_size = std::uint64_t{1} << 40; ///< of an object that is fetched, in bytes
  std::string database;                            ///< soft-serve's (SQLite), for {repo_id}
};

/// The repository's own store alone, in the usual shapes.
LfsConfig default_lfs_config();

/// Reads `lfs` of the file; without the section the default.
LfsConfig read_lfs_config(yaml::Mapping& top);

/// `text` with {repo} and {repo_id} filled in; other fields stay.
std::string with_repository(std::string_view text, std::string_view repo, std::string_view id);
bool names_repository(std::string_view text);

} // namespace hubgate
