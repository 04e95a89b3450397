#pragma once
// The inside of Store: one connection behind one mutex. Internal to policy/.
#include "policy/store.hpp"
#include "policy/store_sql.hpp"

#include <map>
#include <mutex>
#include <utility>

namespace hubgate {

struct Store::Impl {
  Options options;
  sql::Connection connection;
  /// A batch holds it as long as it lives; its thread goes on with the calls that belong to it.
  std::recursive_mutex mutex;

  /// What is known while a batch lives: nobody else writes meanwhile.
  struct InBatch {
    std::map<std::pair<std::string, std::uint64_t>, std::string> plain; ///< see plain_digest()
    std::optional<bool> failures;                                       ///< there are some
  };
  std::optional<InBatch> in_batch;

  /// As keep_report(); the reports that say nothing but a format and a size are written once a
  /// batch.
  Result<std::string> plain_digest(const Report& report);
  Result<bool> has_failures();

  /// As Store::remember(); all or nothing. The caller holds the mutex.
  Result<void> remember(const ObjectDigest& object, const Report& report);
  /// Finds or writes a report row; returns its digest. The caller holds the mutex.
  Result<std::string> keep_report(const Report& report);
  Result<std::optional<Report>> report(std::string_view digest);
};

} // namespace hubgate
