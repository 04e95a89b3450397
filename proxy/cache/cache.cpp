#include "proxy/cache/cache.hpp"

#include "policy/private_dir.hpp"
#include "policy/store.hpp"
#include "scanner/core/evidence.hpp"

#include <boost/asio/post.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hubgate::proxy {

namespace fs = std::filesystem;

namespace {

/// One write. Small enough to be in the processor's cache still when it is written.
constexpr std::size_t k_piece = std::size_t{256} << 10;
/// What is appended at once at most, as a rule: a buffer need not grow for it.
constexpr std::size_t k_append = std::size_t{256} << 10;
/// Emptied buffers that are kept for the next piece: fresh memory costs as much as the copy.
constexpr std::size_t k_spare = 32;
/// Bytes of all fills that may wait in memory for the disk.
constexpr std::uint64_t k_queue = std::uint64_t{64} << 20;
/// Space is taken in steps, for an object of unknown size would need the index for each piece.
constexpr std::uint64_t k_step = std::uint64_t{64} << 20;
/// The disk begins to write this far behind, so that the fsync at the end finds little to do.
constexpr std::uint64_t k_sync_step = std::uint64_t{16} << 20;
constexpr std::size_t k_victims = 64;

bool sync_directory(const fs::path& dir) {
  const Fd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd && ::fsync(fd.get()) == 0;
}

} // namespace

fs::path Cache::object_file(const fs::path& dir, const Sha256& sha256) {
  const std::string name = hex(sha256);
  return dir / "objects" / name.substr(0, 2) / name;
}

Result<std::unique_ptr<Cache>> Cache::open(Options options) {
  const fs::path dir = options.dir;
  const std::string name = printable(dir.string(), 300);
  if (auto made = make_private_dir(dir, "index.db"); !made) return made.error();
  std::unique_ptr<Cache> out(new Cache(std::move(options)));
  out->lock_ = Fd(::open((dir / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!out->lock_) return Error{name + ": the lock can't be opened: " + std::strerror(errno)};
  if (::flock(out->lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return Error{name + ": another gate is using this cache (give each its own cache.path)"};
  std::error_code failed;
  for (const char* part: {"objects", "tmp"}) {
    fs::create_directories(dir / part, failed);
    if (failed) return Error{name + ": " + failed.message()};
  }
  out->index_ = HUBGATE_TRY(CacheIndex::open(dir, true));
  if (auto cleaned = out->clean(); !cleaned) return cleaned.error();
  return out;
}

// Half objects, files that nobody knows of, entries whose file is gone; and what is too much when
// the size was made smaller.
Result<void> Cache::clean() {
  std::error_code failed;
  for (const auto& file: fs::directory_iterator(options_.dir / "tmp", failed))
    fs::remove(file.path(), failed);
  std::set<std::string> known;
  for (const CachedObject& object: HUBGATE_TRY(index_->objects(~std::size_t{0} >> 1, false))) {
    struct stat status{};
    const fs::path file = object_file(options_.dir, object.sha256);
    const bool there = ::lstat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
                       static_cast<std::uint64_t>(status.st_size) == object.size;
    if (there)
      known.insert(hex(object.sha256));
    else
      HUBGATE_TRY(index_->remove(object.sha256));
  }
  for (const auto& folder: fs::directory_iterator(options_.dir / "objects", failed))
    for (const auto& file: fs::directory_iterator(folder.path(), failed))
      if (!known.contains(file.path().filename().string())) fs::remove(file.path(), failed);
  (void)reserve(0);
  look_again();
  return {};
}

Cache::~Cache() {
  writers_.join();
}

void Cache::flush() {
  for (auto left = posted_.load(); left != 0; left = posted_.load())
    posted_.wait(left);
}

void Cache::look_again() {
  if (const auto totals = index_->totals()) bytes_ = totals->bytes;
}

// Makes room for so many bytes more. False when there can be none.
bool Cache::reserve(std::uint64_t bytes) {
  const std::lock_guard lock(room_);
  const auto totals = index_->totals();
  if (!totals) return false;
  std::uint64_t taken = totals->bytes + reserved_;
  const std::uint64_t never = totals->pinned_bytes + reserved_;
  if (bytes > options_.size || never > options_.size - bytes) return false;
  while (taken > options_.size - bytes) {
    const auto victims = index_->objects(k_victims, true);
    if (!victims || victims->empty()) return false;
    for (const CachedObject& victim: *victims) {
      if (taken <= options_.size - bytes) break;
      evict(victim.sha256, Why::room);
      taken -= std::min(taken, victim.size);
    }
  }
  reserved_ += bytes;
  return true;
}

void Cache::release(std::uint64_t bytes) {
  const std::lock_guard lock(room_);
  reserved_ -= bytes;
}

std::shared_ptr<CacheFill> Cache::begin(std::optional<std::uint64_t> size) {
  if (size && *size > options_.size) return nullptr;
  std::shared_ptr<CacheFill> fill(new CacheFill(*this));
  fill->path_ = options_.dir / "tmp" / (std::to_string(++fills_) + ".part");
  // Whoever lets go of it without a word drops it; the disk is never touched on their thread.
  return {fill.get(), [fill](CacheFill*) { fill->drop(); }};
}

std::shared_ptr<ObjectTags> Cache::tags_of(const Sha256& sha256, std::uint64_t size) {
  const std::string key = hex(sha256);
  if (const auto* known = tags_.find(key)) return *known;
  auto made = std::make_shared<ObjectTags>(size);
  tags_.put(key, made, made->weight());
  return made;
}

bool Cache::has(const Sha256& sha256) {
  const auto found = index_->find(sha256);
  return found && *found;
}

std::optional<CacheEntry> Cache::find(const Sha256& sha256, std::uint64_t size) {
  const auto found = index_->find(sha256);
  if (!found || !*found) return std::nullopt;
  CacheEntry out;
  out.file =
      Fd(::open(object_file(options_.dir, sha256).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status{};
  const bool sound = out.file && ::fstat(out.file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                     static_cast<std::uint64_t>(status.st_size) == size && (*found)->size == size;
  if (!sound) {
    evict(sha256, Why::damage);
    return std::nullopt;
  }
  out.size = size;
  (void)index_->touch(sha256);
  return out;
}

void Cache::evict(const Sha256& sha256, Why why) {
  // The entry first: a file without one is removed at the next start, the other way round there
  // would be an entry without bytes.
  const auto removed = index_->remove(sha256);
  if (!removed) return;
  ::unlink(object_file(options_.dir, sha256).c_str());
  if (!*removed) return;
  ++(why == Why::room      ? counts_.evicted
     : why == Why::verdict ? counts_.withdrawn
                           : counts_.damaged);
  if (why != Why::room) look_again();
}

std::vector<std::uint8_t> Cache::take_buffer() {
  const std::lock_guard lock(spare_room_);
  if (spare_.empty()) return {};
  std::vector<std::uint8_t> out = std::move(spare_.back());
  spare_.pop_back();
  return out;
}

void Cache::give_back(std::vector<std::uint8_t> buffer) {
  const std::lock_guard lock(spare_room_);
  if (filling_ == 0 || spare_.size() >= k_spare) return;
  buffer.clear();
  spare_.push_back(std::move(buffer));
}

CacheFill::CacheFill(Cache& cache)
    : cache_(cache), strand_(boost::asio::make_strand(cache.writers_)) {
  const std::lock_guard lock(cache_.spare_room_);
  ++cache_.filling_;
}

CacheFill::~CacheFill() {
  if (!done_) abandon(false);
  const std::lock_guard lock(cache_.spare_room_);
  if (--cache_.filling_ == 0) cache_.spare_ = {};
}

bool CacheFill::behind() const {
  return cache_.queued_ >= k_queue;
}

void CacheFill::append(Bytes bytes) {
  if (over_) return;
  if (pending_.empty() && appended_ >= k_piece) {
    pending_ = cache_.take_buffer();
    pending_.reserve(k_piece + k_append);
  }
  appended_ += bytes.size();
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  if (pending_.size() >= k_piece) hand_over();
}

// Work for the writers, one after the other.
void CacheFill::post(std::function<void(CacheFill&)> work) {
  ++cache_.posted_;
  boost::asio::post(strand_, [self = shared_from_this(), work = std::move(work)] {
    work(*self);
    --self->cache_.posted_;
    self->cache_.posted_.notify_all();
  });
}

void CacheFill::hand_over() {
  if (pending_.empty()) return;
  cache_.queued_ += pending_.size();
  post([bytes = std::move(pending_)](CacheFill& self) mutable {
    self.write(bytes);
    self.cache_.queued_ -= bytes.size();
    self.cache_.give_back(std::move(bytes));
  });
  pending_ = {};
}

void CacheFill::keep(const Sha256& sha256) {
  if (over_) return;
  over_ = true;
  hand_over();
  post([sha256](CacheFill& self) { self.finish(sha256); });
}

void CacheFill::drop() {
  if (over_) return;
  over_ = true;
  pending_ = {};
  post([](CacheFill& self) { self.abandon(false); });
}

void CacheFill::abandon(bool counts) {
  if (done_) return;
  done_ = true;
  if (file_) ::unlink(path_.c_str());
  file_.reset();
  cache_.release(reserved_);
  reserved_ = 0;
  if (counts) ++cache_.counts_.given_up;
}

void CacheFill::write(const std::vector<std::uint8_t>& bytes) {
  if (done_) return;
  if (written_ + bytes.size() > reserved_) {
    const std::uint64_t need = written_ + bytes.size() - reserved_;
    // A step ahead if that fits, else what is needed.
    std::uint64_t step = need;
    if (reserved_ != 0) step = std::max(need, std::min(k_step, cache_.options_.size / 16));
    if (!cache_.reserve(step)) {
      step = need;
      if (!cache_.reserve(step)) {
        abandon(true);
        return;
      }
    }
    reserved_ += step;
    if (!file_)
      file_ = Fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file_) {
      abandon(true);
      return;
    }
    // Where the blocks are is decided now: ext4 takes ten times as long to write back, step by
    // step, a file whose blocks it is to choose then. File systems that can't do without.
    ::fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off64_t>(reserved_ - step),
                static_cast<off64_t>(step));
  }
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::write(file_.get(), bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      abandon(true);
      return;
    }
    at += static_cast<std::size_t>(n);
  }
  written_ += bytes.size();
  if (written_ - synced_ < k_sync_step) return;
  ::sync_file_range(file_.get(), static_cast<off64_t>(synced_),
                    static_cast<off64_t>(written_ - synced_), SYNC_FILE_RANGE_WRITE);
  synced_ = written_;
}

void CacheFill::finish(const Sha256& sha256) {
  if (done_) return;
  if (!file_) // an empty object is not worth an entry
    return abandon(false);
  struct stat status{};
  const bool whole = ::fstat(file_.get(), &status) == 0 && written_ == appended_ &&
                     static_cast<std::uint64_t>(status.st_size) == written_;
  if (whole && reserved_ > written_) // what was allocated behind the end
    (void)!::ftruncate(file_.get(), static_cast<off64_t>(written_));
  const fs::path target = Cache::object_file(cache_.options_.dir, sha256);
  std::error_code failed;
  const bool made = fs::create_directory(target.parent_path(), failed);
  if (!whole || failed || ::fsync(file_.get()) != 0 ||
      (made && !sync_directory(target.parent_path().parent_path())) ||
      ::rename(path_.c_str(), target.c_str()) != 0)
    return abandon(true);
  sync_directory(target.parent_path());
  done_ = true;
  file_.reset();
  {
    // Entry and reservation change together, or somebody would count the bytes twice or not at all.
    const std::lock_guard lock(cache_.room_);
    if (!cache_.index_->add(sha256, written_)) ::unlink(target.c_str());
    cache_.reserved_ -= reserved_;
    reserved_ = 0;
  }
  ++cache_.counts_.kept;
  cache_.look_again();
}

} // namespace hubgate::proxy
