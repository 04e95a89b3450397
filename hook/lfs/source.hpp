#pragma once
// Where the bytes of LFS objects come from: folders, S3 stores, the server's own batch API. They
// are asked in the configured order, and the first that has an object gives it. "Not there" is said
// only by a source that knows; one that can't be asked is an error, which refuses the push.
#include "hook/environment.hpp"
#include "hook/lfs/config.hpp"
#include "policy/judge/judge.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hubgate {

struct LfsWanted {
  std::string oid;                   ///< 64 lower-case hex digits
  std::optional<std::uint64_t> size; ///< as the pointer says
};

class LfsSource {
public:
  virtual ~LfsSource() = default;
  /// For a person, without secrets: "folder /srv/lfs".
  virtual std::string name() const = 0;
  /// The object's bytes, not yet believed; a closed file when the source does not have it.
  /// Thread-safe.
  virtual Result<Judge::Fetched> fetch(const LfsWanted& wanted) = 0;
};

/// What sources need to know of the push.
struct LfsWorld {
  std::filesystem::path git_dir;
  std::string repo;
  std::string scratch; ///< folder for unlinked files, owner-only
  std::function<bool()> go_on = [] { return true; };
};

/// The sources for one repository; an error when a template needs what nobody knows.
Result<std::vector<std::unique_ptr<LfsSource>>> make_lfs_sources(const LfsConfig& config,
                                                                 const LfsWorld& world);

/// A folder's paths for an object, all shapes, absolute.
std::vector<std::string> lfs_places(const LfsSourceConfig& folder, const LfsWorld& world,
                                    const std::string& repo_id, const std::string& oid);

/// The number that soft-serve keeps a repository's LFS objects under; from its database, which is
/// only read.
Result<std::string> soft_serve_repository(const std::string& database, const std::string& repo);

/// A secret of one file: an error when others than owner and group can read it.
Result<std::string> read_secret(const std::string& file);

} // namespace hubgate
