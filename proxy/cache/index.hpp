#pragma once
// CacheIndex: what the cache knows, in SQLite beside the objects: which are there and when each was
// last asked for, what the hub said of a path and to whom, its listings, and which tree verdict
// belongs to a commit. The running gate and `hubgate cache` may hold it open at once; one index is
// used from any number of threads. It holds no verdict: that is the policy store's.
#include "policy/store_sql.hpp"
#include "scanner/core/digest.hpp"

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::proxy {

struct CachedObject {
  Sha256 sha256{};
  std::uint64_t size = 0;
  std::int64_t made = 0; ///< microseconds since 1970
  std::int64_t used = 0; ///< the same; the least of them goes first
  bool pinned = false;
};

struct CacheTotals {
  std::uint64_t objects = 0, bytes = 0;
  std::uint64_t pinned = 0, pinned_bytes = 0;
  std::uint64_t answers = 0, pages = 0, page_bytes = 0;
};

/// Whose answer something is: "" = the hub gave it to somebody without a token, so to anybody; else
/// a digest of the token.
using Who = std::string;

/// What the hub said of a file.
struct FileAnswer {
  int status = 200;   ///< or 404
  std::string fields; ///< "Name: value\r\n" lines that clients need
  std::string etag;   ///< with its quotes
  std::uint64_t size = 0;
  std::optional<Sha256> sha256; ///< of the bytes that were scanned
  /// It was given to who asks now, or to anybody. Otherwise it only helps to choose a record.
  bool authorised = false;
};

/// One of the hub's listings, as it came.
struct PageAnswer {
  std::string fields;
  std::string body;
};

class CacheIndex {
public:
  /// `dir` exists. `create`: makes the database when there is none; otherwise that is an error.
  static Result<std::unique_ptr<CacheIndex>> open(const std::filesystem::path& dir, bool create);

  // Objects.
  Result<void> add(const Sha256& sha256, std::uint64_t size);
  Result<std::optional<CachedObject>> find(const Sha256& sha256);
  Result<void> touch(const Sha256& sha256);
  /// False when it was not there.
  Result<bool> remove(const Sha256& sha256);
  /// The least recently used first; with `unpinned` only those that may go.
  Result<std::vector<CachedObject>> objects(std::size_t most, bool unpinned);
  Result<bool> pin(const Sha256& sha256, bool on);
  Result<CacheTotals> totals();

  // What the hub said.
  struct FileKey {
    std::string hub;
    std::string path; ///< of the request, decoded, segments joined by '\n'
  };
  Result<void> remember(const FileKey& key, const Who& who, std::string_view repo,
                        std::string_view revision, const FileAnswer& answer);
  Result<std::optional<FileAnswer>> answer(const FileKey& key, const Who& who);
  /// The hub does not give it to them any more.
  Result<void> forget(const FileKey& key, const Who& who);
  /// The hub gives them nothing of this repository any more: it is not public then either.
  Result<void> forget_repo(std::string_view hub, std::string_view repo, const Who& who);
  /// Objects that a path of this repository led to; `revision` "" = any.
  Result<std::vector<Sha256>> objects_of(std::string_view repo, std::string_view revision);

  /// Pages take `k_page_bytes` together; the least recently used go.
  Result<void> remember_page(const FileKey& key, const Who& who, const PageAnswer& page);
  Result<std::optional<PageAnswer>> page(const FileKey& key, const Who& who);

  /// `tree`: the key of a tree verdict in the policy store.
  Result<void> remember_tree(std::string_view hub, std::string_view repo, std::string_view commit,
                             std::string_view tree);
  Result<std::string> tree(std::string_view hub, std::string_view repo, std::string_view commit);

  static constexpr std::uint64_t k_page_bytes = std::uint64_t{256} << 20;
  static constexpr std::int64_t k_answers = 1'000'000;

private:
  CacheIndex() = default;
  Result<void> trim_answers();

  std::mutex mutex_;
  sql::Connection connection_;
  std::uint64_t remembered_ = 0; ///< since it was opened
};

} // namespace hubgate::proxy
