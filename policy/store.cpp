// Opening, migrations, analyses, tree verdicts and the back-off. Decisions, waivers and quarantine
// records are in store_records.cpp.
#include "policy/private_dir.hpp"
#include "policy/store_impl.hpp"
#include "scanner/core/evidence.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace hubgate {
namespace {

// Each entry brings the schema one version further. Never edit one that was released.
constexpr std::array<const char*, 2> k_migrations{R"sql(
CREATE TABLE reports(
  digest TEXT PRIMARY KEY,           -- sha256 of json, hex
  json TEXT NOT NULL);
CREATE TABLE analyses(
  sha256 BLOB NOT NULL, size INTEGER NOT NULL,
  engine TEXT NOT NULL, rules TEXT NOT NULL,
  report TEXT NOT NULL,              -- reports.digest
  blocks BLOB NOT NULL,              -- chaining values, 32 bytes each, big-endian words
  made INTEGER NOT NULL,
  PRIMARY KEY(sha256, size, engine, rules));
CREATE TABLE trees(
  tree TEXT NOT NULL, engine TEXT NOT NULL, rules TEXT NOT NULL,
  report TEXT NOT NULL, made INTEGER NOT NULL,
  PRIMARY KEY(tree, engine, rules));
CREATE TABLE decisions(
  id TEXT PRIMARY KEY,
  time INTEGER NOT NULL,
  seq INTEGER NOT NULL,              -- of the audit line
  sha256 BLOB,                       -- NULL: the bytes were not hashed to their end
  record TEXT NOT NULL);             -- to_json(DecisionRecord)
CREATE INDEX decisions_by_time ON decisions(time);
CREATE INDEX decisions_by_sha256 ON decisions(sha256);
CREATE TABLE waivers(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sha256 BLOB NOT NULL, rules TEXT NOT NULL, scope TEXT NOT NULL,
  reason TEXT NOT NULL, approver TEXT NOT NULL,
  created INTEGER NOT NULL, expires INTEGER NOT NULL,
  revoked INTEGER NOT NULL DEFAULT 0, revoked_by TEXT NOT NULL DEFAULT '');
CREATE INDEX waivers_by_sha256 ON waivers(sha256);
CREATE TABLE quarantine(
  sha256 BLOB PRIMARY KEY, size INTEGER NOT NULL,
  kept INTEGER NOT NULL, note TEXT NOT NULL,
  made INTEGER NOT NULL, expires INTEGER NOT NULL,
  decision TEXT NOT NULL, repo TEXT NOT NULL, path TEXT NOT NULL);
CREATE TABLE failures(
  sha256 BLOB NOT NULL, size INTEGER NOT NULL,
  engine TEXT NOT NULL, rules TEXT NOT NULL,
  reason TEXT NOT NULL, count INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY(sha256, size, engine, rules));
CREATE TABLE audit_head(one INTEGER PRIMARY KEY CHECK(one = 1), seq INTEGER NOT NULL,
  hash TEXT NOT NULL);
)sql",
                                                  R"sql(
CREATE TABLE owed(
  key TEXT PRIMARY KEY,              -- who owes which object to what
  made INTEGER NOT NULL,
  record TEXT NOT NULL);             -- JSON
)sql"};

constexpr Time k_first_retry = 30;
constexpr Time k_last_retry = 3600;

std::vector<std::uint8_t> packed(const std::vector<ChainingValue>& blocks) {
  std::vector<std::uint8_t> out;
  out.reserve(blocks.size() * 32);
  for (const auto& block: blocks)
    for (const std::uint32_t word: block)
      for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(word >> shift));
  return out;
}

std::vector<ChainingValue> unpacked(Bytes bytes) {
  std::vector<ChainingValue> out(bytes.size() / 32);
  for (std::size_t i = 0; i < out.size() * 8; ++i) {
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 4; ++j)
      word = word << 8 | bytes[i * 4 + j];
    out[i / 8][i % 8] = word;
  }
  return out;
}

Result<void> migrate(sql::Connection& connection) {
  sqlite3* const db = connection.get();
  const auto version = [&]() -> Result<std::int64_t> {
    sql::Statement statement(connection, "PRAGMA user_version", "be opened");
    HUBGATE_TRY(statement.row());
    return statement.integer(0);
  };
  constexpr auto k_latest = static_cast<std::int64_t>(k_migrations.size());
  if (HUBGATE_TRY(version()) == k_latest) return {};
  const auto transaction =
      HUBGATE_TRY(sql::Transaction::begin(connection, "bring its schema up to date"));
  // Again, now that nobody else can be in the middle of it.
  const std::int64_t from = HUBGATE_TRY(version());
  if (from > k_latest)
    return Error{"store: it was written by a newer hubgate (schema " + std::to_string(from) +
                 ", this one knows " + std::to_string(k_latest) + ")"};
  for (std::int64_t i = from; i < k_latest; ++i)
    if (auto done = sql::run(db, k_migrations[static_cast<std::size_t>(i)], "change its schema");
        !done)
      return done;
  const std::string set = "PRAGMA user_version = " + std::to_string(k_latest);
  if (auto done = sql::run(db, set.c_str(), "change its schema"); !done) return done;
  return transaction->commit();
}

} // namespace

Time now() {
  return static_cast<Time>(std::time(nullptr));
}

std::string to_iso(Time time) {
  const auto seconds = static_cast<std::time_t>(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), n};
}

std::optional<Time> from_iso(std::string_view text) {
  const std::string copy(text);
  std::tm parts{};
  const char* end = strptime(copy.c_str(), "%Y-%m-%d", &parts);
  if (end == nullptr) return std::nullopt;
  if (*end == 'T') {
    end = strptime(end, "T%H:%M:%S", &parts);
    if (end == nullptr) return std::nullopt;
    if (*end == '.') do
        ++end;
      while (*end >= '0' && *end <= '9');
    if (*end == 'Z') ++end;
  }
  if (*end != '\0') return std::nullopt;
  // strptime lets the 31st of February pass and timegm moves it to March.
  const int day = parts.tm_mday;
  const std::time_t time = timegm(&parts);
  if (parts.tm_mday != day) return std::nullopt;
  return static_cast<Time>(time);
}

std::optional<Sha256> sha256_from_hex(std::string_view text) {
  if (text.size() != 64) return std::nullopt;
  Sha256 out{};
  for (std::size_t i = 0; i < 64; ++i) {
    const char c = text[i];
    int digit = 0;
    if (c >= '0' && c <= '9')
      digit = c - '0';
    else if (c >= 'a' && c <= 'f')
      digit = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
      digit = c - 'A' + 10;
    else
      return std::nullopt;
    out[i / 2] = static_cast<std::uint8_t>(out[i / 2] << 4 | digit);
  }
  return out;
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

std::string Store::rules() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->options.rules;
}

void Store::set_rules(std::string rules) {
  const std::lock_guard lock(impl_->mutex);
  impl_->options.rules = std::move(rules);
}

Result<std::unique_ptr<Store>> Store::open(Options options) {
  const std::filesystem::path file = options.dir / "hubgate.db";
  const std::string name = printable(file.string(), 300);
  if (!options.read_only) {
    if (auto made = make_private_dir(options.dir, "hubgate.db"); !made) return made.error();
    // SQLite gives the files beside it the permissions of this one.
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return Error{name + ": can't be opened: " + std::strerror(errno)};
    ::close(fd);
  }
  auto impl = std::make_unique<Impl>();
  sqlite3* db = nullptr;
  const int flags =
      SQLITE_OPEN_NOMUTEX | (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
  const int opened = sqlite3_open_v2(file.c_str(), &db, flags, nullptr);
  impl->connection = sql::Connection(db);
  if (opened != SQLITE_OK)
    return Error{name + ": can't be opened" +
                 (db == nullptr ? std::string() : ": " + std::string(sqlite3_errmsg(db)))};
  sqlite3_busy_timeout(db, 10'000);
  sqlite3_extended_result_codes(db, 0);
  if (!options.read_only) {
    // Of a large push most pages are written again and again: they go over to the database late.
    const char* setup = options.sync ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                                       "PRAGMA wal_autocheckpoint=8192"
                                     : "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                                       "PRAGMA wal_autocheckpoint=8192";
    if (auto done = sql::run(db, setup, "be opened"); !done)
      return Error{name + ": " + done.error().message};
    if (auto done = migrate(impl->connection); !done)
      return Error{name + ": " + done.error().message};
  }
  impl->options = std::move(options);
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

bool Store::storable(const Report& report) {
  return std::none_of(report.gaps.begin(), report.gaps.end(), [](const Gap& gap) {
    return gap.reason == Reason::crash || gap.reason == Reason::timeout ||
           gap.reason == Reason::out_of_memory || gap.reason == Reason::unreadable;
  });
}

Result<std::string> Store::Impl::keep_report(const Report& report_in) {
  const std::string text = boost::json::serialize(to_json(report_in));
  std::string digest = hex(sha256(as_bytes(text)));
  // Most decisions point at a report that is there already: looking costs no write lock.
  sql::Statement find(connection, "SELECT 1 FROM reports WHERE digest = ?", "look up a report");
  if (HUBGATE_TRY(find.bind(digest).row())) return digest;
  sql::Statement insert(connection, "INSERT OR IGNORE INTO reports VALUES(?, ?)", "keep a report");
  if (auto done = insert.bind(digest).bind(text).done(); !done) return done.error();
  return digest;
}

Result<std::string> Store::Impl::plain_digest(const Report& report_in) {
  const bool says_nothing = report_in.findings.empty() && report_in.gaps.empty() &&
                            report_in.references.empty() && report_in.dropped == 0;
  if (!in_batch || !says_nothing) return keep_report(report_in);
  std::string& digest = in_batch->plain[{report_in.format, report_in.size}];
  if (digest.empty()) digest = HUBGATE_TRY(keep_report(report_in));
  return digest;
}

Result<bool> Store::Impl::has_failures() {
  if (in_batch && in_batch->failures) return *in_batch->failures;
  sql::Statement any(connection, "SELECT 1 FROM failures LIMIT 1", "forget a failure");
  const bool has = HUBGATE_TRY(any.row());
  if (in_batch) in_batch->failures = has;
  return has;
}

Result<std::optional<Report>> Store::Impl::report(std::string_view digest) {
  sql::Statement find(connection, "SELECT json FROM reports WHERE digest = ?", "read a report");
  if (!HUBGATE_TRY(find.bind(digest).row())) return std::optional<Report>();
  boost::system::error_code error;
  const auto value = boost::json::parse(find.text(0), error);
  if (error) return Error{"store: a report is damaged"};
  return std::optional<Report>(HUBGATE_TRY(report_from_json(value)));
}

Result<void> Store::remember(const ObjectDigest& object, const Report& report,
                             std::optional<std::string> rules) {
  if (!storable(report))
    return Error{"store: a scan that crashed, timed out or could not read is no analysis"};
  const std::lock_guard lock(impl_->mutex);
  if (rules && *rules != impl_->options.rules) return {};
  auto kept = impl_->remember(object, report);
  // What was undone is not to be known as written.
  if (!kept && impl_->in_batch) impl_->in_batch.emplace();
  return kept;
}

Result<void> Store::Impl::remember(const ObjectDigest& object, const Report& report_in) {
  const auto transaction = HUBGATE_TRY(sql::Transaction::begin(connection, "keep an analysis"));
  const std::string digest = HUBGATE_TRY(plain_digest(report_in));
  sql::Statement insert(connection, "INSERT OR REPLACE INTO analyses VALUES(?,?,?,?,?,?,?)",
                        "keep an analysis");
  const auto blocks = packed(object.blocks);
  insert.bind(Bytes(object.sha256)).bind(object.size).bind(options.engine);
  insert.bind(options.rules).bind(digest).bind(Bytes(blocks)).bind(now());
  if (auto done = insert.done(); !done) return done;
  if (HUBGATE_TRY(has_failures())) {
    sql::Statement forget(connection, "DELETE FROM failures WHERE sha256 = ? AND size = ?",
                          "forget a failure");
    if (auto done = forget.bind(Bytes(object.sha256)).bind(object.size).done(); !done) return done;
  }
  return transaction->commit();
}

Result<std::optional<StoredAnalysis>> Store::analysis(const ObjectKey& key) {
  const std::lock_guard lock(impl_->mutex);
  const Options& mine = impl_->options;
  sql::Statement find(impl_->connection,
                      "SELECT engine, rules, report, blocks, made FROM analyses "
                      "WHERE sha256 = ? AND size = ?",
                      "look up an analysis");
  find.bind(Bytes(key.sha256)).bind(key.size);
  // Mostly there is none, or one: nothing that SQLite would have to sort.
  std::optional<StoredAnalysis> best;
  std::string digest;
  while (HUBGATE_TRY(find.row())) {
    StoredAnalysis one;
    one.engine = find.text(0);
    one.rules = find.text(1);
    one.made = find.integer(4);
    one.current = one.engine == mine.engine && one.rules == mine.rules;
    if (best && (best->current || (!one.current && one.made <= best->made))) continue;
    const Bytes blocks = find.blob(3);
    if (blocks.size() != key.size / k_block_size * 32)
      return Error{"store: the block list of " + hex(key.sha256) + " is damaged"};
    one.blocks = unpacked(blocks);
    digest = find.text(2);
    best = std::move(one);
  }
  if (!best) return best;
  StoredAnalysis& out = *best;
  auto report = HUBGATE_TRY(impl_->report(digest));
  if (!report) return Error{"store: the report of " + hex(key.sha256) + " is missing"};
  out.report = std::move(*report);
  return best;
}

Result<void> Store::remember_tree(std::string_view tree, const Report& report,
                                  std::optional<std::string> rules) {
  if (!storable(report)) return Error{"store: an unfinished scan is no tree verdict"};
  const std::lock_guard lock(impl_->mutex);
  if (rules && *rules != impl_->options.rules) return {};
  const auto transaction =
      HUBGATE_TRY(sql::Transaction::begin(impl_->connection, "keep a tree verdict"));
  const std::string digest = HUBGATE_TRY(impl_->keep_report(report));
  sql::Statement insert(impl_->connection, "INSERT OR REPLACE INTO trees VALUES(?,?,?,?,?)",
                        "keep a tree verdict");
  insert.bind(tree).bind(impl_->options.engine).bind(impl_->options.rules);
  if (auto done = insert.bind(digest).bind(now()).done(); !done) return done;
  return transaction->commit();
}

Result<std::optional<StoredAnalysis>> Store::tree(std::string_view tree) {
  const std::lock_guard lock(impl_->mutex);
  const Options& mine = impl_->options;
  sql::Statement find(impl_->connection,
                      "SELECT engine, rules, report, made, engine = ?2 AND rules = ?3 FROM trees "
                      "WHERE tree = ?1 ORDER BY 5 DESC, made DESC",
                      "look up a tree verdict");
  if (!HUBGATE_TRY(find.bind(tree).bind(mine.engine).bind(mine.rules).row()))
    return std::optional<StoredAnalysis>();
  StoredAnalysis out;
  out.engine = find.text(0);
  out.rules = find.text(1);
  out.made = find.integer(3);
  out.current = find.integer(4) != 0;
  auto report = HUBGATE_TRY(impl_->report(find.text(2)));
  if (!report) return Error{"store: the report of a tree verdict is missing"};
  out.report = std::move(*report);
  return std::optional<StoredAnalysis>(std::move(out));
}

Result<Time> Store::note_failure(const ObjectKey& key, std::string_view reason) {
  const std::lock_guard lock(impl_->mutex);
  const auto transaction =
      HUBGATE_TRY(sql::Transaction::begin(impl_->connection, "note a failed scan"));
  sql::Statement find(
      impl_->connection,
      "SELECT count FROM failures WHERE sha256=? AND size=? AND engine=? AND rules=?",
      "note a failed scan");
  find.bind(Bytes(key.sha256)).bind(key.size);
  find.bind(impl_->options.engine).bind(impl_->options.rules);
  const std::int64_t count = HUBGATE_TRY(find.row()) ? find.integer(0) + 1 : 1;
  const Time wait = std::min(k_last_retry, k_first_retry << std::min<std::int64_t>(count - 1, 16));
  const Time next = now() + wait;
  sql::Statement insert(impl_->connection, "INSERT OR REPLACE INTO failures VALUES(?,?,?,?,?,?,?)",
                        "note a failed scan");
  insert.bind(Bytes(key.sha256)).bind(key.size).bind(impl_->options.engine);
  insert.bind(impl_->options.rules).bind(reason).bind(count).bind(next);
  if (auto done = insert.done(); !done) return done.error();
  if (impl_->in_batch) impl_->in_batch->failures = true;
  if (auto done = transaction->commit(); !done) return done.error();
  return next;
}

Result<std::optional<Time>> Store::retry_after(const ObjectKey& key) {
  const std::lock_guard lock(impl_->mutex);
  sql::Statement find(impl_->connection,
                      "SELECT next FROM failures WHERE sha256=? AND size=? AND engine=? AND "
                      "rules=? AND next > ?",
                      "look up a failed scan");
  find.bind(Bytes(key.sha256)).bind(key.size).bind(impl_->options.engine);
  find.bind(impl_->options.rules).bind(now());
  if (!HUBGATE_TRY(find.row())) return std::optional<Time>();
  return std::optional<Time>(find.integer(0));
}

} // namespace hubgate
