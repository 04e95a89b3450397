#include "policy/store_sql.hpp"

namespace hubgate::sql {

Error failure(sqlite3* db, std::string_view doing) {
  const int code = sqlite3_errcode(db);
  std::string message = "store: can't ";
  message += doing;
  message += ": ";
  switch (code) {
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    message += "the database is damaged (move hubgate.db away to start a new one; the audit log "
               "keeps the decisions)";
    break;
  case SQLITE_FULL:
    message += "the disk is full";
    break;
  case SQLITE_BUSY:
    message += "another process has held it locked for too long";
    break;
  case SQLITE_READONLY:
    message += "it is read-only here";
    break;
  default:
    message += sqlite3_errmsg(db);
  }
  return Error{std::move(message)};
}

Result<void> run(sqlite3* db, const char* statements, std::string_view doing) {
  if (sqlite3_exec(db, statements, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return failure(db, doing);
}

Statement::Statement(Connection& connection, std::string_view text, std::string_view doing)
    : connection_(connection), text_(text), doing_(doing) {
  if (const auto ready = connection_.idle_.find(text); ready != connection_.idle_.end())
    statement_ = ready->second.release();
  if (statement_ == nullptr)
    result_ = sqlite3_prepare_v3(connection_.get(), text.data(), static_cast<int>(text.size()),
                                 SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  connection_.idle_[text_].reset(statement_); // of two in use at once one stays
}

Statement& Statement::bind(std::int64_t value) {
  if (result_ == SQLITE_OK) result_ = sqlite3_bind_int64(statement_, ++next_, value);
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  if (result_ == SQLITE_OK)
    result_ = sqlite3_bind_text64(statement_, ++next_, value.data(), value.size(), SQLITE_TRANSIENT,
                                  SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind(Bytes value) {
  // A null pointer would bind NULL instead of an empty blob.
  static constexpr std::uint8_t k_nothing = 0;
  const void* data = value.empty() ? &k_nothing : value.data();
  if (result_ == SQLITE_OK)
    result_ = sqlite3_bind_blob64(statement_, ++next_, data, value.size(), SQLITE_TRANSIENT);
  return *this;
}

Result<bool> Statement::row() {
  if (result_ != SQLITE_OK) return failure(connection_.get(), doing_);
  const int step = sqlite3_step(statement_);
  if (step == SQLITE_ROW) return true;
  if (step == SQLITE_DONE) return false;
  return failure(connection_.get(), doing_);
}

Result<void> Statement::done() {
  while (HUBGATE_TRY(row())) {
  }
  return {};
}

std::string Statement::text(int column) {
  const auto* data = sqlite3_column_text(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(data), size);
}

Bytes Statement::blob(int column) {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? Bytes() : Bytes(data, size);
}

Result<std::unique_ptr<Transaction>> Transaction::begin(Connection& connection,
                                                        std::string_view doing) {
  const Kind kind = sqlite3_get_autocommit(connection.get()) != 0 ? Kind::outer : Kind::nested;
  Statement begin(connection, kind == Kind::outer ? "BEGIN IMMEDIATE" : "SAVEPOINT nested", doing);
  if (auto begun = begin.done(); !begun) return begun.error();
  return std::unique_ptr<Transaction>(new Transaction(connection, doing, kind));
}

Transaction::~Transaction() {
  if (!open_) return;
  sqlite3_exec(connection_.get(),
               kind_ == Kind::outer ? "ROLLBACK" : "ROLLBACK TO nested; RELEASE nested", nullptr,
               nullptr, nullptr);
}

Result<void> Transaction::commit() {
  Statement commit(connection_, kind_ == Kind::outer ? "COMMIT" : "RELEASE nested", doing_);
  auto committed = commit.done();
  open_ = !committed.ok();
  return committed;
}

} // namespace hubgate::sql
