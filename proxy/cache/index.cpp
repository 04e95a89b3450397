#include "proxy/cache/index.hpp"

#include "scanner/core/evidence.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace hubgate::proxy {

namespace {

constexpr const char* k_schema = R"sql(
CREATE TABLE IF NOT EXISTS objects(
  sha256 BLOB PRIMARY KEY, size INTEGER NOT NULL,
  made INTEGER NOT NULL, used INTEGER NOT NULL, pinned INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_by_use ON objects(used);
CREATE TABLE IF NOT EXISTS answers(
  hub TEXT NOT NULL, path TEXT NOT NULL, who TEXT NOT NULL,
  repo TEXT NOT NULL, revision TEXT NOT NULL,
  status INTEGER NOT NULL, fields TEXT NOT NULL, etag TEXT NOT NULL,
  size INTEGER NOT NULL, sha256 BLOB NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY(hub, path, who));
CREATE INDEX IF NOT EXISTS answers_by_use ON answers(used);
CREATE INDEX IF NOT EXISTS answers_by_repo ON answers(repo, revision);
CREATE TABLE IF NOT EXISTS pages(
  hub TEXT NOT NULL, path TEXT NOT NULL, who TEXT NOT NULL,
  fields TEXT NOT NULL, body BLOB NOT NULL, size INTEGER NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY(hub, path, who));
CREATE INDEX IF NOT EXISTS pages_by_use ON pages(used);
CREATE TABLE IF NOT EXISTS trees(
  hub TEXT NOT NULL, repo TEXT NOT NULL, revision TEXT NOT NULL, tree TEXT NOT NULL,
  PRIMARY KEY(hub, repo, revision)) WITHOUT ROWID;
)sql";
constexpr std::int64_t k_version = 1;
constexpr std::uint64_t k_trim_every = 1000;

std::int64_t micros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<void> set_up(sql::Connection& connection) {
  sql::Statement version(connection, "PRAGMA user_version", "open the cache's index");
  HUBGATE_TRY(version.row());
  const std::int64_t found = version.integer(0);
  if (found > k_version) return Error{"the cache was written by a newer hubgate"};
  if (found == k_version) return {};
  if (auto made = sql::run(connection.get(), k_schema, "make the cache's index"); !made)
    return made;
  return sql::run(connection.get(), "PRAGMA user_version = 1", "make the cache's index");
}

CachedObject object_from(sql::Statement& row) {
  CachedObject out;
  const Bytes digest = row.blob(0);
  if (digest.size() == out.sha256.size())
    std::copy(digest.begin(), digest.end(), out.sha256.begin());
  out.size = row.length(1);
  out.made = row.integer(2);
  out.used = row.integer(3);
  out.pinned = row.integer(4) != 0;
  return out;
}

} // namespace

Result<std::unique_ptr<CacheIndex>> CacheIndex::open(const std::filesystem::path& dir,
                                                     bool create) {
  const std::filesystem::path file = dir / "index.db";
  const std::string name = printable(file.string(), 300);
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
  if (fd < 0 && errno == ENOENT)
    return Error{printable(dir.string(), 300) + ": there is no cache here"};
  if (fd < 0) return Error{name + ": can't be opened: " + std::strerror(errno)};
  ::close(fd);
  std::unique_ptr<CacheIndex> out(new CacheIndex);
  sqlite3* db = nullptr;
  const int opened =
      sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE, nullptr);
  out->connection_ = sql::Connection(db);
  if (opened != SQLITE_OK) return Error{name + ": can't be opened"};
  sqlite3_busy_timeout(db, 10'000);
  // What a power loss takes of the last moments is fetched again.
  if (auto done = sql::run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
                           "open the cache's index");
      !done)
    return Error{name + ": " + done.error().message};
  if (auto done = set_up(out->connection_); !done) return Error{name + ": " + done.error().message};
  return out;
}

Result<void> CacheIndex::add(const Sha256& sha256, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  sql::Statement insert(connection_,
                        "INSERT INTO objects VALUES(?,?,?,?,0) ON CONFLICT(sha256) DO UPDATE SET "
                        "size = excluded.size, used = excluded.used",
                        "keep an object");
  const std::int64_t at = micros();
  return insert.bind(Bytes(sha256)).bind(size).bind(at).bind(at).done();
}

Result<std::optional<CachedObject>> CacheIndex::find(const Sha256& sha256) {
  const std::lock_guard lock(mutex_);
  sql::Statement find(connection_,
                      "SELECT sha256, size, made, used, pinned FROM objects WHERE sha256 = ?",
                      "look up an object");
  if (!HUBGATE_TRY(find.bind(Bytes(sha256)).row())) return std::optional<CachedObject>();
  return std::optional<CachedObject>(object_from(find));
}

Result<void> CacheIndex::touch(const Sha256& sha256) {
  const std::lock_guard lock(mutex_);
  sql::Statement touch(connection_, "UPDATE objects SET used = ? WHERE sha256 = ?",
                       "note the use of an object");
  return touch.bind(micros()).bind(Bytes(sha256)).done();
}

Result<bool> CacheIndex::remove(const Sha256& sha256) {
  const std::lock_guard lock(mutex_);
  sql::Statement remove(connection_, "DELETE FROM objects WHERE sha256 = ?", "remove an object");
  if (auto done = remove.bind(Bytes(sha256)).done(); !done) return done.error();
  return sqlite3_changes(connection_.get()) > 0;
}

Result<std::vector<CachedObject>> CacheIndex::objects(std::size_t most, bool unpinned) {
  const std::lock_guard lock(mutex_);
  sql::Statement list(connection_,
                      "SELECT sha256, size, made, used, pinned FROM objects WHERE pinned <= ? "
                      "ORDER BY used LIMIT ?",
                      "list objects");
  list.bind(std::int64_t{unpinned ? 0 : 1}).bind(static_cast<std::uint64_t>(most));
  std::vector<CachedObject> out;
  while (HUBGATE_TRY(list.row()))
    out.push_back(object_from(list));
  return out;
}

Result<bool> CacheIndex::pin(const Sha256& sha256, bool on) {
  const std::lock_guard lock(mutex_);
  sql::Statement pin(connection_, "UPDATE objects SET pinned = ? WHERE sha256 = ?",
                     "pin an object");
  if (auto done = pin.bind(std::int64_t{on ? 1 : 0}).bind(Bytes(sha256)).done(); !done)
    return done.error();
  return sqlite3_changes(connection_.get()) > 0;
}

Result<CacheTotals> CacheIndex::totals() {
  const std::lock_guard lock(mutex_);
  CacheTotals out;
  sql::Statement objects(connection_,
                         "SELECT COUNT(*), COALESCE(SUM(size),0), COALESCE(SUM(pinned),0), "
                         "COALESCE(SUM(size*pinned),0) FROM objects",
                         "add up the cache");
  HUBGATE_TRY(objects.row());
  out.objects = objects.length(0);
  out.bytes = objects.length(1);
  out.pinned = objects.length(2);
  out.pinned_bytes = objects.length(3);
  sql::Statement pages(connection_, "SELECT COUNT(*), COALESCE(SUM(size),0) FROM pages",
                       "add up the cache");
  HUBGATE_TRY(pages.row());
  out.pages = pages.length(0);
  out.page_bytes = pages.length(1);
  sql::Statement answers(connection_, "SELECT COUNT(*) FROM answers", "add up the cache");
  HUBGATE_TRY(answers.row());
  out.answers = answers.length(0);
  return out;
}

Result<void> CacheIndex::remember(const FileKey& key, const Who& who, std::string_view repo,
                                  std::string_view revision, const FileAnswer& answer) {
  const std::lock_guard lock(mutex_);
  sql::Statement insert(connection_, "INSERT OR REPLACE INTO answers VALUES(?,?,?,?,?,?,?,?,?,?,?)",
                        "remember an answer");
  insert.bind(key.hub).bind(key.path).bind(who).bind(repo).bind(revision);
  insert.bind(std::int64_t{answer.status}).bind(answer.fields).bind(answer.etag);
  insert.bind(answer.size);
  insert.bind(answer.sha256 ? Bytes(*answer.sha256) : Bytes()).bind(micros());
  if (auto done = insert.done(); !done) return done;
  if (++remembered_ % k_trim_every != 0) return {};
  return trim_answers();
}

// Called with the lock held.
Result<void> CacheIndex::trim_answers() {
  sql::Statement trim(connection_,
                      "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers ORDER BY used "
                      "DESC LIMIT -1 OFFSET ?)",
                      "forget old answers");
  return trim.bind(k_answers).done();
}

Result<std::optional<FileAnswer>> CacheIndex::answer(const FileKey& key, const Who& who) {
  const std::lock_guard lock(mutex_);
  // Their own first, then anybody's, then other people's, which only choose a record.
  sql::Statement find(connection_,
                      "SELECT status, fields, etag, size, sha256, who FROM answers WHERE hub = ? "
                      "AND path = ? ORDER BY who = ? DESC, who = '' DESC, used DESC LIMIT 1",
                      "look up an answer");
  find.bind(key.hub).bind(key.path).bind(who);
  if (!HUBGATE_TRY(find.row())) return std::optional<FileAnswer>();
  FileAnswer out;
  out.status = static_cast<int>(find.integer(0));
  out.fields = find.text(1);
  out.etag = find.text(2);
  out.size = find.length(3);
  if (const Bytes digest = find.blob(4); digest.size() == Sha256{}.size()) {
    Sha256 sha256{};
    std::copy(digest.begin(), digest.end(), sha256.begin());
    out.sha256 = sha256;
  }
  const std::string whose = find.text(5);
  out.authorised = whose.empty() || whose == who;
  return std::optional<FileAnswer>(std::move(out));
}

Result<void> CacheIndex::forget(const FileKey& key, const Who& who) {
  const std::lock_guard lock(mutex_);
  for (const char* statement: {"DELETE FROM answers WHERE hub = ? AND path = ? AND who = ?",
                               "DELETE FROM pages WHERE hub = ? AND path = ? AND who = ?"}) {
    sql::Statement forget(connection_, statement, "forget an answer");
    if (auto done = forget.bind(key.hub).bind(key.path).bind(who).done(); !done) return done;
  }
  return {};
}

Result<void> CacheIndex::forget_repo(std::string_view hub, std::string_view repo, const Who& who) {
  const std::lock_guard lock(mutex_);
  sql::Statement files(connection_,
                       "DELETE FROM answers WHERE hub = ? AND repo = ? AND who IN (?, '')",
                       "forget a repository");
  if (auto done = files.bind(hub).bind(repo).bind(who).done(); !done) return done;
  // "api\nKIND\nname…": models have no kind in front of their name.
  std::string prefix(repo);
  const std::size_t slash = prefix.find('/');
  const std::string kind = prefix.substr(0, slash);
  if (kind != "datasets" && kind != "spaces" && kind != "kernels") prefix = "models/" + prefix;
  std::replace(prefix.begin(), prefix.end(), '/', '\n');
  prefix = "api\n" + prefix;
  sql::Statement pages(connection_,
                       "DELETE FROM pages WHERE hub = ?1 AND who IN (?2, '') AND (path = ?3 OR "
                       "substr(path, 1, length(?3) + 1) = ?3 || char(10))",
                       "forget a repository");
  return pages.bind(hub).bind(who).bind(prefix).done();
}

Result<std::vector<Sha256>> CacheIndex::objects_of(std::string_view repo,
                                                   std::string_view revision) {
  const std::lock_guard lock(mutex_);
  sql::Statement find(connection_,
                      "SELECT DISTINCT objects.sha256 FROM answers JOIN objects USING(sha256) "
                      "WHERE repo = ?1 AND (?2 = '' OR revision = ?2)",
                      "list the objects of a repository");
  find.bind(repo).bind(revision);
  std::vector<Sha256> out;
  while (HUBGATE_TRY(find.row())) {
    const Bytes digest = find.blob(0);
    if (digest.size() != Sha256{}.size()) continue;
    std::copy(digest.begin(), digest.end(), out.emplace_back().begin());
  }
  return out;
}

Result<void> CacheIndex::remember_page(const FileKey& key, const Who& who, const PageAnswer& page) {
  const std::lock_guard lock(mutex_);
  sql::Statement same(connection_,
                      "UPDATE pages SET used = ? WHERE hub = ? AND path = ? AND who = ? AND "
                      "fields = ? AND body = ?",
                      "remember a listing");
  same.bind(micros()).bind(key.hub).bind(key.path).bind(who).bind(page.fields);
  if (auto done = same.bind(as_bytes(page.body)).done(); !done) return done;
  if (sqlite3_changes(connection_.get()) > 0) return {};
  const auto transaction = HUBGATE_TRY(sql::Transaction::begin(connection_, "remember a listing"));
  sql::Statement insert(connection_, "INSERT OR REPLACE INTO pages VALUES(?,?,?,?,?,?,?)",
                        "remember a listing");
  insert.bind(key.hub).bind(key.path).bind(who).bind(page.fields).bind(as_bytes(page.body));
  insert.bind(static_cast<std::uint64_t>(page.body.size())).bind(micros());
  if (auto done = insert.done(); !done) return done;
  sql::Statement total(connection_, "SELECT COALESCE(SUM(size),0) FROM pages", "add up listings");
  HUBGATE_TRY(total.row());
  std::uint64_t bytes = total.length(0);
  while (bytes > k_page_bytes) {
    sql::Statement oldest(connection_, "SELECT rowid, size FROM pages ORDER BY used LIMIT 1",
                          "find the oldest listing");
    if (!HUBGATE_TRY(oldest.row())) break;
    const std::int64_t row = oldest.integer(0);
    bytes -= std::min(bytes, oldest.length(1));
    sql::Statement remove(connection_, "DELETE FROM pages WHERE rowid = ?", "forget a listing");
    if (auto done = remove.bind(row).done(); !done) return done;
  }
  return transaction->commit();
}

Result<std::optional<PageAnswer>> CacheIndex::page(const FileKey& key, const Who& who) {
  const std::lock_guard lock(mutex_);
  sql::Statement find(connection_,
                      "SELECT fields, body FROM pages WHERE hub = ?1 AND path = ?2 AND who IN "
                      "(?3, '') ORDER BY who = ?3 DESC LIMIT 1",
                      "look up a listing");
  find.bind(key.hub).bind(key.path).bind(who);
  if (!HUBGATE_TRY(find.row())) return std::optional<PageAnswer>();
  PageAnswer out;
  out.fields = find.text(0);
  const Bytes body = find.blob(1);
  out.body.assign(reinterpret_cast<const char*>(body.data()), body.size());
  return std::optional<PageAnswer>(std::move(out));
}

Result<void> CacheIndex::remember_tree(std::string_view hub, std::string_view repo,
                                       std::string_view commit, std::string_view tree) {
  const std::lock_guard lock(mutex_);
  sql::Statement insert(connection_, "INSERT OR REPLACE INTO trees VALUES(?,?,?,?)",
                        "remember a revision");
  return insert.bind(hub).bind(repo).bind(commit).bind(tree).done();
}

Result<std::string> CacheIndex::tree(std::string_view hub, std::string_view repo,
                                     std::string_view commit) {
  const std::lock_guard lock(mutex_);
  sql::Statement find(connection_,
                      "SELECT tree FROM trees WHERE hub = ? AND repo = ? AND revision = ?",
                      "look up a revision");
  if (!HUBGATE_TRY(find.bind(hub).bind(repo).bind(commit).row())) return std::string();
  return find.text(0);
}

} // namespace hubgate::proxy
