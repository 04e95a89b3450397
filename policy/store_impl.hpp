#pragma once
// The inside of Store: one connection behind one mutex. Internal to policy/.
#include "policy/store.hpp"
#include "policy/store_sql.hpp"

#include <mutex>

namespace hubgate {

struct Store::Impl {
  Options options;
  sql::Connection connection;
  /// A batch holds it as long as it lives; its thread goes on with the calls that belong to it.
  std::recursive_mutex mutex;

  /// Finds or writes a report row; returns its digest. The caller holds the mutex.
  Result<std::string> keep_report(const Report& report);
  Result<std::optional<Report>> report(std::string_view digest);
};

} // namespace hubgate
