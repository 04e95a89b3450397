// Decisions, waivers, quarantine records and debts of the store.
#include "policy/store_impl.hpp"

namespace hubgate {
namespace json = boost::json;
namespace {

// Rule ids hold no line feed, so a list of them is lines.
std::string lines_of(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item: items)
    out += item + "\n";
  return out;
}

std::vector<std::string> from_lines(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

Sha256 digest_of(Bytes blob) {
  Sha256 out{};
  if (blob.size() == out.size()) std::copy(blob.begin(), blob.end(), out.begin());
  return out;
}

Result<DecisionRecord> parsed(const std::string& text) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  if (error || !value.is_object()) return Error{"store: a decision is damaged"};
  return decision_from_json(value.get_object());
}

Waiver waiver_of(sql::Statement& row) {
  Waiver out;
  out.id = row.integer(0);
  out.sha256 = digest_of(row.blob(1));
  out.rules = from_lines(row.text(2));
  out.scope = row.text(3);
  out.reason = row.text(4);
  out.approver = row.text(5);
  out.created = row.integer(6);
  out.expires = row.integer(7);
  out.revoked = row.integer(8);
  out.revoked_by = row.text(9);
  return out;
}

QuarantineRecord quarantine_of(sql::Statement& row) {
  QuarantineRecord out;
  out.sha256 = digest_of(row.blob(0));
  out.size = row.length(1);
  out.kept = row.integer(2) != 0;
  out.note = row.text(3);
  out.made = row.integer(4);
  out.expires = row.integer(5);
  out.decision = row.text(6);
  out.repo = row.text(7);
  out.path = row.text(8);
  return out;
}

Result<void> write_head(sql::Connection& connection, const AuditHead& head) {
  sql::Statement statement(connection,
                           "INSERT INTO audit_head VALUES(1, ?, ?) ON CONFLICT(one) DO UPDATE SET "
                           "seq = excluded.seq, hash = excluded.hash WHERE excluded.seq > seq",
                           "note the end of the audit log");
  return statement.bind(head.seq).bind(head.hash).done();
}

} // namespace

struct Store::Batch::Impl {
  Store::Impl& store;
  std::unique_lock<std::recursive_mutex> lock; ///< until the end of the transaction
  std::unique_ptr<sql::Transaction> transaction;

  ~Impl() { end(); }
  void end() {
    if (!lock.owns_lock()) return;
    store.in_batch.reset();
    transaction.reset();
    lock.unlock();
  }
};

Store::Batch::Batch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::Batch::~Batch() = default;

Result<void> Store::Batch::commit() {
  auto committed = impl_->transaction->commit();
  if (!committed) return committed;
  // Whoever goes on to the audit log must not hold this: there the locks are taken the other way.
  impl_->end();
  return {};
}

Result<std::unique_ptr<Store::Batch>> Store::batch() {
  std::unique_lock lock(impl_->mutex);
  auto transaction = HUBGATE_TRY(sql::Transaction::begin(impl_->connection, "begin a batch"));
  impl_->in_batch.emplace();
  return std::unique_ptr<Batch>(new Batch(std::unique_ptr<Batch::Impl>(
      new Batch::Impl{*impl_, std::move(lock), std::move(transaction)})));
}

Result<std::string> Store::keep_report(const Report& report) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->keep_report(report);
}

Result<std::optional<Report>> Store::report(std::string_view digest) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->report(digest);
}

Result<void> Store::record(const DecisionRecord& record, const AuditHead& head) {
  const std::lock_guard lock(impl_->mutex);
  const auto transaction =
      HUBGATE_TRY(sql::Transaction::begin(impl_->connection, "record a decision"));
  const std::string text = json::serialize(to_json(record));
  sql::Statement insert(impl_->connection,
                        record.context.sha256
                            ? "INSERT OR IGNORE INTO decisions VALUES(?,?,?,?,?)"
                            : "INSERT OR IGNORE INTO decisions VALUES(?,?,?,NULL,?)",
                        "record a decision");
  insert.bind(record.decision.id).bind(record.time).bind(head.seq);
  if (record.context.sha256) insert.bind(Bytes(*record.context.sha256));
  if (auto done = insert.bind(text).done(); !done) return done;
  if (auto done = write_head(impl_->connection, head); !done) return done;
  return transaction->commit();
}

Result<std::optional<DecisionRecord>> Store::decision(std::string_view id) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement find(impl_->connection, "SELECT record FROM decisions WHERE id = ?",
                      "look up a decision");
  if (!HUBGATE_TRY(find.bind(id).row())) return std::optional<DecisionRecord>();
  return std::optional<DecisionRecord>(HUBGATE_TRY(parsed(find.text(0))));
}

Result<void> Store::decisions(Time since, const std::function<bool(const DecisionRecord&)>& each) {
  // In batches, so that neither the mutex nor a read transaction is held while the caller works.
  constexpr std::int64_t k_batch = 500;
  Time time = since;
  std::int64_t row = -1;
  while (true) {
    std::vector<std::string> texts;
    {
      const std::lock_guard lock(impl_->mutex);
      sql::Statement find(impl_->connection,
                          "SELECT time, rowid, record FROM decisions WHERE (time, rowid) > (?, ?) "
                          "ORDER BY time, rowid LIMIT ?",
                          "read the decisions");
      find.bind(time).bind(row).bind(k_batch);
      while (HUBGATE_TRY(find.row())) {
        time = find.integer(0);
        row = find.integer(1);
        texts.push_back(find.text(2));
      }
    }
    if (texts.empty()) return {};
    for (const auto& text: texts)
      if (!each(HUBGATE_TRY(parsed(text)))) return {};
  }
}

Result<AuditHead> Store::audit_head() {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement find(impl_->connection, "SELECT seq, hash FROM audit_head", "read the audit head");
  AuditHead out;
  if (HUBGATE_TRY(find.row())) {
    out.seq = find.length(0);
    out.hash = find.text(1);
  }
  return out;
}

Result<void> Store::set_audit_head(const AuditHead& head) {
  const std::lock_guard lock(impl_->mutex);
  return write_head(impl_->connection, head);
}

Result<std::int64_t> Store::add_waiver(const Waiver& waiver) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement insert(impl_->connection,
                        "INSERT INTO waivers(sha256, rules, scope, reason, approver, created, "
                        "expires) VALUES(?,?,?,?,?,?,?)",
                        "add a waiver");
  insert.bind(Bytes(waiver.sha256)).bind(lines_of(waiver.rules)).bind(waiver.scope);
  insert.bind(waiver.reason).bind(waiver.approver).bind(waiver.created).bind(waiver.expires);
  if (auto done = insert.done(); !done) return done.error();
  return sqlite3_last_insert_rowid(impl_->connection.get());
}

Result<bool> Store::revoke_waiver(std::int64_t id, std::string_view by) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement update(
      impl_->connection,
      "UPDATE waivers SET revoked = ?, revoked_by = ? WHERE id = ? AND revoked = 0",
      "revoke a waiver");
  if (auto done = update.bind(now()).bind(by).bind(id).done(); !done) return done.error();
  return sqlite3_changes(impl_->connection.get()) != 0;
}

Result<std::vector<Waiver>> Store::waivers() {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement find(impl_->connection, "SELECT * FROM waivers ORDER BY id", "list the waivers");
  std::vector<Waiver> out;
  while (HUBGATE_TRY(find.row()))
    out.push_back(waiver_of(find));
  return out;
}

Result<std::vector<Waiver>> Store::waivers_for(const Sha256& sha256) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement find(impl_->connection, "SELECT * FROM waivers WHERE sha256 = ? ORDER BY id",
                      "look for waivers");
  find.bind(Bytes(sha256));
  std::vector<Waiver> out;
  while (HUBGATE_TRY(find.row()))
    out.push_back(waiver_of(find));
  return out;
}

Result<void> Store::put_quarantine(const QuarantineRecord& record) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement insert(impl_->connection,
                        "INSERT OR REPLACE INTO quarantine VALUES(?,?,?,?,?,?,?,?,?)",
                        "note a quarantined object");
  insert.bind(Bytes(record.sha256)).bind(record.size);
  insert.bind(std::int64_t{record.kept ? 1 : 0}).bind(record.note);
  insert.bind(record.made).bind(record.expires).bind(record.decision);
  return insert.bind(record.repo).bind(record.path).done();
}

Result<void> Store::drop_quarantine(const Sha256& sha256) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement drop(impl_->connection, "DELETE FROM quarantine WHERE sha256 = ?",
                      "forget a quarantined object");
  return drop.bind(Bytes(sha256)).done();
}

Result<std::vector<QuarantineRecord>> Store::quarantine() {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement find(impl_->connection, "SELECT * FROM quarantine ORDER BY made, sha256",
                      "list the quarantine");
  std::vector<QuarantineRecord> out;
  while (HUBGATE_TRY(find.row()))
    out.push_back(quarantine_of(find));
  return out;
}

Result<std::optional<QuarantineRecord>> Store::quarantined(const Sha256& sha256) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement find(impl_->connection, "SELECT * FROM quarantine WHERE sha256 = ?",
                      "look into the quarantine");
  if (!HUBGATE_TRY(find.bind(Bytes(sha256)).row())) return std::optional<QuarantineRecord>();
  return std::optional<QuarantineRecord>(quarantine_of(find));
}

Result<void> Store::put_owed(std::string_view key, std::string_view record) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement insert(impl_->connection, "INSERT OR IGNORE INTO owed VALUES(?,?,?)",
                        "note what is owed");
  return insert.bind(key).bind(now()).bind(record).done();
}

Result<void> Store::drop_owed(std::string_view key) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement drop(impl_->connection, "DELETE FROM owed WHERE key = ?", "settle what is owed");
  return drop.bind(key).done();
}

Result<std::vector<OwedRecord>> Store::owed() {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement find(impl_->connection, "SELECT key, made, record FROM owed ORDER BY made, rowid",
                      "list what is owed");
  std::vector<OwedRecord> out;
  while (HUBGATE_TRY(find.row()))
    out.push_back({find.text(0), find.integer(1), find.text(2)});
  return out;
}

} // namespace hubgate
