#include "hook/judge.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace hubgate {
namespace {

constexpr std::size_t k_batch_items = 512;
constexpr std::size_t k_batch_bytes = std::size_t{4} << 20;
/// Bytes of a small blob that are kept: a pointer, or where a symbolic link points.
constexpr std::size_t k_head = 4096;
constexpr std::chrono::milliseconds k_tick{200};

Error system_error(std::string_view what) {
  return Error{std::string(what) + ": " + std::strerror(errno)};
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
         a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

} // namespace

// Small blobs, one behind the other.
struct Judge::Batch {
  std::vector<std::uint8_t> bytes;
  std::vector<BatchItem> items;
  std::vector<Judged*> judged;
};

Result<void> write_bytes(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("can't keep a big file aside");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<Fd> unlinked_file(const std::string& directory) {
  Fd fd(open(directory.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (!fd) return system_error("can't make a file in " + directory);
  return fd;
}

Judge::Judge(Gatekeeper& keeper, WorkerPool& pool, Options options)
    : keeper_(keeper), pool_(pool), options_(std::move(options)) {
  for (unsigned i = 0; i < std::max(1u, options_.jobs); ++i)
    threads_.emplace_back([this] { work(); });
}

Judge::~Judge() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    queue_.clear();
  }
  changed_.notify_all();
  for (auto& thread: threads_)
    thread.join();
}

void Judge::fail(Error error) {
  const std::lock_guard lock(mutex_);
  if (!failed_) failed_ = std::move(error);
}

void Judge::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    if (closing_) return;
    Task task = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    lock.unlock();
    changed_.notify_all();
    try {
      if (auto done = task(); !done) fail(done.error());
    } catch (const std::exception& error) {
      fail(Error{error.what()});
    }
    task = nullptr;
    lock.lock();
    --running_;
    changed_.notify_all();
  }
}

// Waits while enough is queued: the queue holds the bytes.
void Judge::push(Task task) {
  std::unique_lock lock(mutex_);
  while (queue_.size() >= 2 * threads_.size()) {
    changed_.wait_for(lock, k_tick);
    lock.unlock();
    (void)options_.tick(); // time that runs out is noticed by wait()
    lock.lock();
  }
  queue_.push_back(std::move(task));
  lock.unlock();
  changed_.notify_all();
}

bool Judge::known(Judged& judged) {
  auto stored = keeper_.lookup(judged.digest.sha256, judged.digest.size);
  if (!stored || !stored->current) return false;
  judged.report = std::move(stored->report);
  return true;
}

Judged& Judge::small(Bytes bytes) {
  Judged& out = results_.emplace_back();
  out.digest.size = bytes.size();
  if (bytes.size() >= k_block_size) {
    BlockHasher hasher;
    hasher.update(bytes);
    out.digest = hasher.finish();
  } else {
    out.digest.sha256 = sha256(bytes);
  }
  out.pointer = git::read_pointer(bytes, bytes.size());
  if (bytes.size() <= k_head) out.head = std::string(as_text(bytes));
  if (known(out)) {
    ++done_;
    return out;
  }
  out.fresh = true;
  if (open_ && open_->bytes.size() + bytes.size() > k_batch_bytes) flush();
  if (!open_) open_ = std::make_unique<Batch>();
  open_->items.push_back({open_->bytes.size(), bytes.size()});
  open_->bytes.insert(open_->bytes.end(), bytes.begin(), bytes.end());
  open_->judged.push_back(&out);
  if (open_->items.size() >= k_batch_items) flush();
  return out;
}

void Judge::flush() {
  if (!open_) return;
  push([this, batch = std::shared_ptr<Batch>(std::move(open_))] { return scan(*batch); });
}

Result<void> Judge::scan(Batch& batch) {
  Fd memory(memfd_create("hubgate-blobs", MFD_CLOEXEC));
  if (!memory) return system_error("can't make memory for a batch");
  if (auto written = write_bytes(memory.get(), batch.bytes); !written) return written;
  const std::uint64_t size = batch.bytes.size();
  batch.bytes = {};
  auto reports = scan_batch(pool_, memory.get(), size, batch.items, options_.limits,
                            options_.deadline_seconds);
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    batch.judged[i]->report = std::move(reports[i]);
    ++done_;
  }
  return {};
}

Judged& Judge::big(Pump pump) {
  Judged& out = results_.emplace_back();
  push([this, &out, pump = std::move(pump)]() -> Result<void> {
    const Fd file = HUBGATE_TRY(unlinked_file(options_.temporary));
    BlockHasher hasher;
    auto pumped = pump([&](Bytes bytes) {
      hasher.update(bytes);
      return write_bytes(file.get(), bytes);
    });
    if (!pumped) return pumped;
    out.digest = hasher.finish();
    return judge_file(out, file.get());
  });
  return out;
}

Judged& Judge::file(Fd fd) {
  Judged& out = results_.emplace_back();
  push([this, &out, file = std::make_shared<Fd>(std::move(fd))]() -> Result<void> {
    struct stat before{};
    if (fstat(file->get(), &before) != 0) return system_error("can't look at an LFS object");
    BlockHasher hasher;
    std::vector<std::uint8_t> buffer(std::size_t{256} << 10);
    while (true) {
      const ssize_t n =
          pread(file->get(), buffer.data(), buffer.size(), static_cast<off_t>(hasher.size()));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return system_error("can't read an LFS object");
      if (n == 0) break;
      hasher.update(Bytes(buffer).first(static_cast<std::size_t>(n)));
    }
    out.digest = hasher.finish();
    if (auto judged = judge_file(out, file->get()); !judged) return judged;
    struct stat after{};
    if (fstat(file->get(), &after) != 0 || !same_file(before, after) ||
        static_cast<std::uint64_t>(after.st_size) != out.digest.size)
      return Error{"an LFS object changed while it was read: try again"};
    return {};
  });
  return out;
}

Result<void> Judge::judge_file(Judged& judged, int fd) {
  if (!known(judged)) {
    judged.fresh = true;
    judged.report =
        scan_file(pool_, fd, judged.digest.size, options_.limits, options_.deadline_seconds);
  }
  // Readers of pointers look at the head of a file of any size.
  std::array<std::uint8_t, git::k_pointer_max> head{};
  const ssize_t n = pread(fd, head.data(), head.size(), 0);
  if (n < 0) return system_error("can't read a file back");
  judged.pointer =
      git::read_pointer(Bytes(head).first(static_cast<std::size_t>(n)), judged.digest.size);
  ++done_;
  return {};
}

Result<void> Judge::wait() {
  flush();
  std::unique_lock lock(mutex_);
  while (!failed_ && (running_ != 0 || !queue_.empty())) {
    changed_.wait_for(lock, k_tick);
    lock.unlock();
    const bool go_on = options_.tick();
    lock.lock();
    if (!go_on) return Error{"it took too long (hook.timeout)"};
  }
  if (failed_) return *failed_;
  return {};
}

} // namespace hubgate
