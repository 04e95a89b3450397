#pragma once
// A thin, checked way to SQLite: statements that bind and read by type, errors as Result. For
// the policy store and the cache's index. The text of every statement is ours; values are bound,
// never pasted.
#include "scanner/core/bytes.hpp"
#include "scanner/core/result.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace hubgate::sql {

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

/// A connection and the statements that were prepared on it: a push asks the same few thousands of
/// times, and preparing costs more than answering. Not for two threads at once.
class Connection {
public:
  Connection() = default;
  explicit Connection(sqlite3* db) : database_(db) {}
  sqlite3* get() const { return database_.get(); }

private:
  friend class Statement;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Database database_; ///< outlives what was prepared on it
  std::unordered_map<std::string_view, std::unique_ptr<sqlite3_stmt, Finalize>> idle_;
};

/// The last error of the connection in words for a person.
Error failure(sqlite3* db, std::string_view doing);

/// Runs statements without values and without rows.
Result<void> run(sqlite3* db, const char* statements, std::string_view doing);

/// A prepared statement for one use. Bind in order, then step. `text` is a literal: the connection
/// keeps what was prepared under it.
class Statement {
public:
  Statement(Connection& connection, std::string_view text, std::string_view doing);
  ~Statement();
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
  Connection& connection_;
  std::string_view text_;
  sqlite3_stmt* statement_ = nullptr;
  std::string doing_;
  int next_ = 0;
  int result_ = SQLITE_OK;
};

/// BEGIN IMMEDIATE … COMMIT; rolls back when it goes out of scope without commit(). Inside of
/// another one it is a part of that: undone alone, kept only together with it.
class Transaction {
public:
  static Result<std::unique_ptr<Transaction>> begin(Connection& connection, std::string_view doing);
  ~Transaction();
  Result<void> commit();

private:
  enum class Kind { outer, nested };
  Transaction(Connection& connection, std::string_view doing, Kind kind)
      : connection_(connection), doing_(doing), kind_(kind) {}
  Connection& connection_;
  std::string doing_;
  Kind kind_;
  bool open_ = true;
};

} // namespace hubgate::sql
