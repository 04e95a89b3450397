// Writing the audit log.
#include "policy/audit.hpp"

#include "policy/audit_file.hpp"
#include "policy/private_dir.hpp"
#include "policy/store.hpp"
#include "scanner/core/evidence.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

namespace hubgate {
namespace json = boost::json;
namespace {

class Descriptor {
public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

private:
  int fd_ = -1;
};

// Orders processes. A mutex orders the threads of this one, since the lock belongs to the
// descriptor that they share.
class FileLock {
public:
  explicit FileLock(int fd) : fd_(fd) {
    while (::flock(fd_, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      failed_ = true;
      return;
    }
  }
  ~FileLock() {
    if (!failed_) ::flock(fd_, LOCK_UN);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool failed() const { return failed_; }

private:
  int fd_;
  bool failed_ = false;
};

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

} // namespace

struct AuditLog::Impl {
  Options options;
  std::mutex mutex;
  Descriptor lock;
  Descriptor segment;
  std::uint64_t number = 0; // of the segment
  std::uint64_t size = 0;   // its length when we last wrote or looked
  Line last;

  Error failed(std::string_view what) const {
    return Error{"audit log: " + std::string(what) + ": " + std::strerror(errno)};
  }

  // Whether the segment is still the last one and ends where we left it.
  bool up_to_date() const {
    struct stat info{};
    return segment.open() && ::fstat(segment.get(), &info) == 0 && info.st_nlink != 0 &&
           static_cast<std::uint64_t>(info.st_size) == size &&
           ::access(segment_file(options.dir, number + 1).c_str(), F_OK) != 0;
  }

  Result<void> open_segment(std::uint64_t which) {
    const auto file = segment_file(options.dir, which);
    Descriptor opened(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    struct stat info{};
    if (!opened.open() || ::fstat(opened.get(), &info) != 0) return failed("can't open a segment");
    segment = std::move(opened);
    number = which;
    size = static_cast<std::uint64_t>(info.st_size);
    return {};
  }

  // Finds the end of the chain after a start or when another process has written.
  Result<void> look() {
    const auto segments = HUBGATE_TRY(audit_segments(options.dir));
    if (segments.empty()) {
      last = options.head;
      if (last.seq == 0) last.hash = audit_genesis();
      return open_segment(1);
    }
    std::optional<Line> found;
    std::uint64_t unreadable = 0; // bytes behind the last good line of the last segment
    for (auto at = segments.rbegin(); at != segments.rend() && !found; ++at) {
      const AuditTail tail = HUBGATE_TRY(audit_tail(at->file));
      found = tail.last;
      if (at == segments.rbegin()) unreadable = tail.unreadable;
    }
    last = found.value_or(options.head);
    if (last.seq == 0) last.hash = audit_genesis();
    if (unreadable == 0) return open_segment(segments.back().number);
    // A new segment, so that the torn bytes stay as they are and every later line is whole.
    if (auto opened = open_segment(segments.back().number + 1); !opened) return opened;
    json::object fields;
    fields["time"] = to_iso(now());
    fields["event"] = "recovered";
    fields["segment"] = segments.back().file.filename().string();
    fields["torn_bytes"] = unreadable;
    return write(std::vector<json::object>(1, fields), {});
  }

  // All lines in one write to one segment.
  Result<void> write(const std::vector<json::object>& all,
                     const std::function<Result<void>(const std::vector<Line>&)>& commit) {
    std::string text;
    std::vector<Line> lines;
    lines.reserve(all.size());
    Line next = last;
    for (const auto& fields: all) {
      json::object line;
      line["seq"] = next.seq + 1;
      line["prev"] = next.hash;
      for (const auto& field: fields)
        line[field.key()] = field.value();
      const std::string one = json::serialize(line);
      if (one.size() >= k_audit_line_max) return Error{"audit log: a line is longer than 1 MiB"};
      next = {next.seq + 1, hex(sha256(as_bytes(one)))};
      lines.push_back(next);
      text += one;
      text += '\n';
    }
    if (size != 0 && size + text.size() > options.segment_bytes)
      if (auto opened = open_segment(number + 1); !opened) return opened;
    const auto take_back = [&] {
      // Should this fail too, the torn or unknown line shows at the next start and in verify.
      if (::ftruncate(segment.get(), static_cast<off_t>(size)) != 0) segment = Descriptor();
    };
    if (!write_all(segment.get(), text)) {
      const Error error = failed("can't write");
      take_back();
      return error;
    }
    if (options.sync && ::fdatasync(segment.get()) != 0) {
      const Error error = failed("can't be made durable");
      take_back();
      return error;
    }
    if (commit)
      if (auto committed = commit(lines); !committed) {
        take_back();
        return committed;
      }
    size += text.size();
    last = next;
    return {};
  }
};

AuditLog::AuditLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AuditLog::~AuditLog() = default;

Result<std::unique_ptr<AuditLog>> AuditLog::open(Options options) {
  if (auto made = make_private_dir(options.dir, "audit.lock"); !made) return made.error();
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  const auto file = impl->options.dir / "audit.lock";
  impl->lock = Descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!impl->lock.open())
    return Error{printable(file.string(), 300) + ": can't be opened: " + std::strerror(errno)};
  {
    const FileLock lock(impl->lock.get());
    if (lock.failed()) return impl->failed("can't be locked");
    if (auto looked = impl->look(); !looked) return looked.error();
  }
  return std::unique_ptr<AuditLog>(new AuditLog(std::move(impl)));
}

Result<AuditLog::Line> AuditLog::append(const json::object& fields,
                                        const std::function<Result<void>(const Line&)>& commit) {
  Line out;
  auto written = append_all(std::vector<json::object>(1, fields),
                            [&](const std::vector<Line>& lines) -> Result<void> {
                              out = lines.front();
                              return commit ? commit(out) : Result<void>();
                            });
  if (!written) return written.error();
  return out;
}

Result<void>
AuditLog::append_all(const std::vector<json::object>& fields,
                     const std::function<Result<void>(const std::vector<Line>&)>& commit) {
  if (fields.empty()) return {};
  const std::lock_guard guard(impl_->mutex);
  const FileLock lock(impl_->lock.get());
  if (lock.failed()) return impl_->failed("can't be locked");
  if (!impl_->up_to_date())
    if (auto looked = impl_->look(); !looked) return looked.error();
  return impl_->write(fields, commit);
}

Result<void>
AuditLog::read(std::uint64_t from,
               const std::function<bool(const Line&, const json::object&)>& each) const {
  return read_audit(impl_->options.dir, from, each);
}

Result<void>
read_audit(const std::filesystem::path& dir, std::uint64_t from,
           const std::function<bool(const AuditLog::Line&, const json::object&)>& each) {
  const auto segments = HUBGATE_TRY(audit_segments(dir));
  bool more = true;
  for (std::size_t i = 0; i < segments.size() && more; ++i) {
    // A segment is skipped when the next one begins at or before `from`.
    if (i + 1 < segments.size()) {
      std::uint64_t next = 0;
      HUBGATE_TRY(each_line(segments[i + 1].file, [&](std::string_view text, std::uint64_t) {
        if (const auto fields = audit_fields(text)) next = seq_of(*fields);
        return false;
      }));
      if (next != 0 && next <= from) continue;
    }
    HUBGATE_TRY(each_line(segments[i].file, [&](std::string_view text, std::uint64_t) {
      const auto fields = audit_fields(text);
      if (!fields || seq_of(*fields) < from) return true;
      more = each({seq_of(*fields), hex(sha256(as_bytes(text)))}, *fields);
      return more;
    }));
  }
  return {};
}

} // namespace hubgate
