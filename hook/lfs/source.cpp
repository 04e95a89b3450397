#include "hook/lfs/source.hpp"

#include "hook/lfs/batch.hpp"
#include "hook/lfs/folder.hpp"
#include "hook/lfs/s3.hpp"
#include "scanner/core/evidence.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace hubgate {
namespace {

// {repo} goes into paths: it must not lead anywhere else.
bool fits_in_a_path(const std::string& repo) {
  if (repo.empty() || repo.front() == '/') return false;
  std::string_view rest = repo;
  while (true) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == rest.size()) break;
    rest.remove_prefix(slash + 1);
  }
  return std::none_of(repo.begin(), repo.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '{' || c == '}';
  });
}

} // namespace

Result<std::string> soft_serve_repository(const std::string& database, const std::string& repo) {
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  const auto failed = [&](std::string_view why) {
    return Error{"lfs.database " + printable(database, 200) + ": " + printable(why, 200)};
  };
  sqlite3* opened = nullptr;
  const int rc = sqlite3_open_v2(database.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
  const std::unique_ptr<sqlite3, Close> db(opened);
  if (rc != SQLITE_OK) return failed(sqlite3_errstr(rc));
  sqlite3_busy_timeout(db.get(), 5000);
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(db.get(), "SELECT id FROM repos WHERE name = ?1", -1, &prepared,
                         nullptr) != SQLITE_OK)
    return failed(sqlite3_errmsg(db.get()));
  const std::unique_ptr<sqlite3_stmt, Close> statement(prepared);
  sqlite3_bind_text(statement.get(), 1, repo.data(), static_cast<int>(repo.size()),
                    SQLITE_TRANSIENT);
  const int step = sqlite3_step(statement.get());
  if (step == SQLITE_ROW) return std::to_string(sqlite3_column_int64(statement.get(), 0));
  if (step == SQLITE_DONE) return failed("it has no repository " + repo);
  return failed(sqlite3_errmsg(db.get()));
}

Result<std::string> read_secret(const std::string& file) {
  const auto failed = [&](std::string_view why) {
    return Error{printable(file, 200) + ": " + std::string(why)};
  };
  const Fd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failed(std::strerror(errno));
  struct stat info{};
  if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return failed("is no file");
  if ((info.st_mode & 0007) != 0)
    return failed("holds a secret and everybody may read it: chmod o= it");
  std::array<char, 16384> buffer{};
  const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
  if (n < 0) return failed(std::strerror(errno));
  std::string text(buffer.data(), static_cast<std::size_t>(n));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  if (text.empty()) return failed("is empty");
  return text;
}

Result<std::vector<std::unique_ptr<LfsSource>>> make_lfs_sources(const LfsConfig& config,
                                                                 const LfsWorld& world) {
  std::string id;
  std::vector<std::unique_ptr<LfsSource>> out;
  for (const auto& source: config.sources) {
    std::string templates = source.place + source.key;
    for (const auto& path: source.paths)
      templates += path;
    if (templates.find("{repo}") != std::string::npos && !fits_in_a_path(world.repo))
      return Error{"the repository's name " + printable(world.repo, 100) +
                   " can't stand in lfs.sources"};
    if (templates.find("{repo_id}") != std::string::npos && id.empty())
      id = HUBGATE_TRY(soft_serve_repository(config.database, world.repo));
    switch (source.kind) {
    case LfsSourceConfig::Kind::folder:
      out.push_back(std::make_unique<LfsFolder>(source, world, id));
      break;
    case LfsSourceConfig::Kind::s3:
      out.push_back(std::make_unique<LfsS3>(source, world, id, config.max_size));
      break;
    case LfsSourceConfig::Kind::batch:
      out.push_back(std::make_unique<LfsBatch>(source, world, id, config.max_size));
      break;
    }
  }
  return out;
}

} // namespace hubgate
