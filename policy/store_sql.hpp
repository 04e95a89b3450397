#pragma once
// A thin, checked way to SQLite: statements that bind and read by type, errors as Result. Internal
// to policy/. The text of every statement is ours; values are bound, never pasted.
#include "scanner/core/bytes.hpp"
#include "scanner/core/result.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hubgate::sql {

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

/// The last error of the connection in words for a person.
Error failure(sqlite3* db, std::string_view doing);

/// Runs statements without values and without rows.
Result<void> run(sqlite3* db, const char* statements, std::string_view doing);

/// A prepared statement for one use. Bind in order, then step.
class Statement {
public:
  Statement(sqlite3* db, std::string_view text, std::string_view doing);
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(std::int64_t value);
  Statement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(std::string_view value);
  Statement& bind(Bytes value);

  /// True while there is a row.
  Result<bool> row();
  /// For statements without rows.
  Result<void> done();

  std::int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  std::uint64_t length(int column) { return static_cast<std::uint64_t>(integer(column)); }
  std::string text(int column);
  /// Valid until the next row.
  Bytes blob(int column);

private:
  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
  std::string doing_;
  int next_ = 0;
  int result_ = SQLITE_OK;
};

/// BEGIN IMMEDIATE … COMMIT; rolls back when it goes out of scope without commit(). Inside of
/// another one it is a part of that: undone alone, kept only together with it.
class Transaction {
public:
  static Result<std::unique_ptr<Transaction>> begin(sqlite3* db, std::string_view doing);
  ~Transaction();
  Result<void> commit();

private:
  enum class Kind { outer, nested };
  Transaction(sqlite3* db, std::string_view doing, Kind kind)
      : db_(db), doing_(doing), kind_(kind) {}
  sqlite3* db_;
  std::string doing_;
  Kind kind_;
  bool open_ = true;
};

} // namespace hubgate::sql
