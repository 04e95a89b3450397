#include "policy/judge/analyst.hpp"

#include "scanner/core/evidence.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hubgate {
namespace {

constexpr std::size_t k_piece = std::size_t{256} << 10;

Error system_error(std::string_view what) {
  return Error{std::string(what) + ": " + std::strerror(errno)};
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
         a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

/// A whole file in memory, read-only. Only for files that can't shrink.
class Mapping {
public:
  static Result<Mapping> of(int fd) {
    struct stat info{};
    if (fstat(fd, &info) != 0) return system_error("can't look at a batch");
    Mapping out;
    out.size_ = static_cast<std::size_t>(info.st_size);
    if (out.size_ == 0) return out;
    void* at = mmap(nullptr, out.size_, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return system_error("can't read a batch");
    out.at_ = static_cast<const std::uint8_t*>(at);
    return out;
  }
  Mapping(Mapping&& other) noexcept : at_(other.at_), size_(other.size_) { other.at_ = nullptr; }
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() {
    if (at_ != nullptr) munmap(const_cast<std::uint8_t*>(at_), size_);
  }
  Bytes bytes() const { return {at_, size_}; }

private:
  Mapping() = default;
  const std::uint8_t* at_ = nullptr;
  std::size_t size_ = 0;
};

ObjectDigest digest_of(Bytes bytes) {
  if (bytes.size() < k_block_size) return {sha256(bytes), bytes.size(), {}};
  BlockHasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

// Reads a file to its end and gives `take` what it reads.
template <typename Take> Result<ObjectDigest> read_whole(int fd, Take take) {
  BlockHasher hasher;
  std::vector<std::uint8_t> buffer(k_piece);
  while (true) {
    const ssize_t n = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(hasher.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("can't read an object's file");
    if (n == 0) return hasher.finish();
    const Bytes piece = Bytes(buffer).first(static_cast<std::size_t>(n));
    hasher.update(piece);
    if (Result<void> taken = take(piece); !taken) return taken.error();
  }
}

} // namespace

Result<void> write_bytes(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("can't keep a big file aside");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<ObjectDigest> hash_file(int fd) {
  return read_whole(fd, [](Bytes) { return Result<void>(); });
}

Result<Fd> unlinked_file(const std::string& directory) {
  Fd fd(open(directory.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (!fd) return system_error("can't make a file in " + printable(directory, 300));
  return fd;
}

Result<Fd> sealed_memory(Bytes bytes) {
  Fd fd(memfd_create("hubgate-bytes", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return system_error("can't make memory for a batch");
  if (auto written = write_bytes(fd.get(), bytes); !written) return written.error();
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return system_error("can't seal the memory of a batch");
  return fd;
}

bool is_sealed(int fd) {
  constexpr int k_all = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
  const int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & k_all) == k_all;
}

Analyst::Analyst(Gatekeeper& keeper, WorkerPool& pool, Options options)
    : keeper_(keeper), pool_(pool), options_(std::move(options)) {
  for (Lane* lane: {&small_, &large_})
    for (unsigned i = 0; i < std::max(1u, options_.jobs); ++i)
      threads_.emplace_back([this, lane] { work(*lane); });
}

Analyst::~Analyst() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  for (auto& thread: threads_)
    thread.join();
}

void Analyst::work(Lane& lane) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return closing_ || !lane.empty(); });
    if (closing_) return;
    Task task = std::move(lane.front());
    lane.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

void Analyst::push(Lane& lane, Task task) {
  {
    const std::lock_guard lock(mutex_);
    lane.push_back(std::move(task));
  }
  changed_.notify_all();
}

std::optional<Report> Analyst::record_of(const ObjectDigest& digest) {
  auto stored = keeper_.lookup(digest.sha256, digest.size);
  if (!stored || !stored->current) return std::nullopt;
  return std::move(stored->report);
}

void Analyst::batch(Fd memory, std::vector<BatchItem> items, Authority::Done done) {
  push(small_, [this, file = std::make_shared<Fd>(std::move(memory)), items = std::move(items),
                done = std::move(done)] {
    Result<std::vector<Analysis>> out(Error{"no result"});
    try {
      out = scan_items(file->get(), items);
    } catch (const std::exception& error) {
      out = Error{error.what()};
    }
    file->reset();
    done(std::move(out));
  });
}

Result<std::vector<Analysis>> Analyst::scan_items(int memory, const std::vector<BatchItem>& items) {
  std::vector<Analysis> out(items.size());
  std::vector<std::size_t> open;
  std::vector<BatchItem> wanted;
  const Mapping mapping = HUBGATE_TRY(Mapping::of(memory));
  for (std::size_t i = 0; i < items.size(); ++i) {
    out[i].digest = digest_of(mapping.bytes().subspan(items[i].offset, items[i].length));
    if (auto report = record_of(out[i].digest)) {
      out[i].report = std::move(*report);
    } else {
      open.push_back(i);
      wanted.push_back(items[i]);
    }
  }
  if (open.empty()) return out;
  // A policy that comes meanwhile may bring other YARA rules than those these are scanned with.
  const std::string rules = keeper_.store().rules();
  auto reports = scan_batch(pool_, memory, mapping.bytes().size(), wanted, options_.limits,
                            options_.deadline_seconds);
  const auto batch = HUBGATE_TRY(keeper_.store().batch());
  for (std::size_t i = 0; i < open.size(); ++i)
    out[open[i]].report = std::move(reports[i]);
  // In the order of the store's key: neighbours lie on the same pages.
  std::sort(open.begin(), open.end(), [&](std::size_t a, std::size_t b) {
    return out[a].digest.sha256 < out[b].digest.sha256;
  });
  for (const std::size_t i: open) {
    const Analysis& one = out[i];
    if (auto kept = keeper_.remember(one.digest, one.report, rules); !kept) return kept.error();
  }
  if (auto kept = batch->commit(); !kept) return kept.error();
  return out;
}

void Analyst::file(Fd file, std::optional<ObjectDigest> computed, Owner owner,
                   Authority::Done done) {
  push(large_, [this, file = std::make_shared<Fd>(std::move(file)), computed = std::move(computed),
                owner, done = std::move(done)]() mutable {
    Result<std::optional<Analysis>> out(Error{"no result"});
    try {
      out = scan_whole(std::move(*file), std::move(computed), owner, done);
    } catch (const std::exception& error) {
      out = Error{error.what()};
    }
    if (!out)
      done(out.error());
    else if (*out)
      done(std::vector<Analysis>{std::move(**out)});
  });
}

// Nothing: somebody scans it already, and `done` hears it from there.
Result<std::optional<Analysis>> Analyst::scan_whole(Fd file, std::optional<ObjectDigest> computed,
                                                    Owner owner, Authority::Done& done) {
  struct stat before{};
  if (fstat(file.get(), &before) != 0) return system_error("can't look at an object's file");
  if (!S_ISREG(before.st_mode)) return Error{"an object's file is no regular file"};
  bool changes = !is_sealed(file.get());
  if (owner == Owner::foreign && changes) {
    auto [copy, digest] = HUBGATE_TRY(copied(file.get()));
    file = std::move(copy);
    computed = std::move(digest);
    changes = false;
  } else if (!computed) {
    computed = HUBGATE_TRY(hash_file(file.get()));
  }
  const auto same = [&] {
    struct stat after{};
    return !changes || (fstat(file.get(), &after) == 0 && same_file(before, after) &&
                        static_cast<std::uint64_t>(after.st_size) == computed->size);
  };
  const Error changed{"an object's file changed while it was read: try again"};
  if (!same()) return changed;
  Analysis out{std::move(*computed), {}};
  computed = out.digest;
  if (auto report = record_of(out.digest)) {
    out.report = std::move(*report);
    return std::optional(std::move(out));
  }
  {
    const std::lock_guard lock(mutex_);
    const auto [at, first] = scanning_.try_emplace(out.digest.sha256);
    if (!first) {
      at->second.push_back(std::move(done));
      return std::optional<Analysis>();
    }
  }
  auto report = scan_once(out.digest, file.get(), same);
  std::vector<Authority::Done> others;
  {
    const std::lock_guard lock(mutex_);
    others = std::move(scanning_[out.digest.sha256]);
    scanning_.erase(out.digest.sha256);
  }
  for (const auto& other: others)
    report ? other(std::vector<Analysis>{{out.digest, *report}}) : other(report.error());
  if (!report) return report.error();
  out.report = std::move(*report);
  return std::optional(std::move(out));
}

// Memory that is mapped can be written without a trace in the times: only a copy is what was
// hashed. And a file system that somebody's own process serves may never answer.
Result<std::pair<Fd, ObjectDigest>> Analyst::copied(int file) {
  struct stat info{};
  struct statfs system{};
  if (fstat(file, &info) != 0 || fstatfs(file, &system) != 0)
    return system_error("can't look at an object's file");
  if (!S_ISREG(info.st_mode)) return Error{"an object's file is no regular file"};
  if (system.f_type == FUSE_SUPER_MAGIC)
    return Error{"an object's file lies on a FUSE file system: the daemon reads those of its own "
                 "account only"};
  Fd copy = HUBGATE_TRY(unlinked_file(options_.scratch));
  auto digest =
      HUBGATE_TRY(read_whole(file, [&](Bytes piece) { return write_bytes(copy.get(), piece); }));
  return std::pair(std::move(copy), std::move(digest));
}

Result<Report> Analyst::scan_once(const ObjectDigest& digest, int file,
                                  const std::function<bool()>& same) {
  try {
    // Whoever was quicker has kept it between our look and our turn.
    if (auto report = record_of(digest)) return std::move(*report);
    const std::string rules = keeper_.store().rules();
    Report report = scan_file(pool_, file, digest.size, options_.limits, options_.deadline_seconds);
    if (!same()) return Error{"an object's file changed while it was read: try again"};
    if (auto kept = keeper_.remember(digest, report, rules); !kept) return kept.error();
    return report;
  } catch (const std::exception& error) {
    return Error{error.what()};
  }
}

Report Analyst::code(int memory, std::uint64_t size, double seconds) {
  Report failed;
  const auto fail = [&](const Error& error) {
    failed.gaps.push_back(Gap{Reason::crash, Reach::load, "", 0, error.message});
    return failed;
  };
  const auto mapping = Mapping::of(memory);
  if (!mapping) return fail(mapping.error());
  // A record for the bytes of the bundle: they name the files, so they are all that decides.
  const std::string key = "code:" + hex(sha256(mapping->bytes()));
  if (auto stored = keeper_.store().tree(key); stored && *stored && (*stored)->current)
    return std::move((*stored)->report);
  auto job = pool_.submit_bundle(memory, size, options_.limits);
  if (!job) return fail(job.error());
  Report report = wait_for_report(std::move(*job), seconds);
  if (report.complete())
    if (auto kept = keeper_.store().remember_tree(key, report); !kept) return fail(kept.error());
  return report;
}

} // namespace hubgate
