#include "policy/quarantine.hpp"

#include "policy/private_dir.hpp"
#include "scanner/core/evidence.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hubgate {
namespace {

constexpr std::size_t k_piece = std::size_t{1} << 20;
constexpr std::string_view k_unfinished = ".part";

// Copies the source into `fd`; "" when every byte is there and the hash is right, else why not.
std::string copy(int fd, const QuarantineRecord& record, Source& bytes) {
  BlockHasher hasher;
  std::uint64_t offset = 0;
  while (offset < record.size) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(k_piece, record.size - offset));
    const Bytes piece = bytes.view(offset, wanted);
    if (piece.empty()) return "the bytes were not held any more";
    for (std::size_t done = 0; done < piece.size();) {
      const ssize_t n = ::write(fd, piece.data() + done, piece.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return std::string("they could not be written: ") + std::strerror(errno);
      done += static_cast<std::size_t>(n);
    }
    hasher.update(piece);
    offset += piece.size();
  }
  if (::fsync(fd) != 0) return std::string("they could not be written: ") + std::strerror(errno);
  if (hasher.finish().sha256 != record.sha256) return "the bytes were not those of the decision";
  return {};
}

} // namespace

std::filesystem::path Quarantine::file(const Sha256& sha256) const {
  return options_.dir / hex(sha256);
}

Result<QuarantineRecord> Quarantine::keep(QuarantineRecord record, Source& bytes) {
  record.made = now();
  record.expires = record.made + std::chrono::seconds(options_.keep).count();
  record.kept = false;
  record.note.clear();
  const auto finish = [&](std::string note) -> Result<QuarantineRecord> {
    record.note = std::move(note);
    record.kept = record.note.empty();
    if (auto written = store_.put_quarantine(record); !written) {
      if (record.kept) ::unlink(file(record.sha256).c_str());
      return written.error();
    }
    return record;
  };
  if (auto made = make_private_dir(options_.dir, ""); !made) return finish(made.error().message);
  if (auto purged = purge_expired(); !purged) return purged.error();
  std::uint64_t held = 0;
  for (const auto& other: HUBGATE_TRY(store_.quarantine())) {
    if (!other.kept) continue;
    if (other.sha256 == record.sha256 && ::access(file(other.sha256).c_str(), F_OK) == 0)
      return finish({}); // here already: only its time begins anew
    held += other.size;
  }
  if (record.size > options_.max_bytes || held > options_.max_bytes - record.size)
    return finish("the quarantine is full (" + std::to_string(held) + " of " +
                  std::to_string(options_.max_bytes) + " bytes)");

  const std::string part = file(record.sha256).string() + "." + std::to_string(::getpid()) + "." +
                           std::to_string(reinterpret_cast<std::uintptr_t>(&record)) +
                           std::string(k_unfinished);
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return finish(std::string("they could not be written: ") + std::strerror(errno));
  std::string note = copy(fd, record, bytes);
  ::close(fd);
  if (note.empty() && ::rename(part.c_str(), file(record.sha256).c_str()) != 0)
    note = std::string("they could not be written: ") + std::strerror(errno);
  if (!note.empty()) ::unlink(part.c_str());
  return finish(std::move(note));
}

Result<void> Quarantine::purge(const Sha256& sha256) {
  if (::unlink(file(sha256).c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
    return Error{"quarantine: " + hex(sha256) + " can't be removed: " + std::strerror(errno)};
  return store_.drop_quarantine(sha256);
}

Result<std::size_t> Quarantine::purge_expired() {
  std::size_t count = 0;
  const auto records = HUBGATE_TRY(store_.quarantine());
  std::vector<std::string> names;
  for (const auto& record: records) {
    if (record.expires > now()) {
      if (record.kept) names.push_back(hex(record.sha256));
      continue;
    }
    if (auto purged = purge(record.sha256); !purged) return purged.error();
    ++count;
  }
  // Files that a killed process left: unfinished ones, and finished ones without a record. A
  // younger one may belong to a copy that is still running.
  std::error_code error;
  for (const auto& entry: std::filesystem::directory_iterator(options_.dir, error)) {
    const std::string name = entry.path().filename().string();
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const auto age = std::filesystem::file_time_type::clock::now() - entry.last_write_time(error);
    if (!error && age > std::chrono::hours(1)) std::filesystem::remove(entry.path(), error);
  }
  return count;
}

} // namespace hubgate
