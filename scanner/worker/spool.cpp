#include "scanner/worker/spool.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/futex.h>
#include <new>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace hubgate {
namespace {

Error system_error(std::string_view what) {
  return Error{std::string(what) + ": " + std::strerror(errno)};
}

constexpr std::size_t k_read_ahead = std::size_t{256} << 10;
constexpr std::uint64_t k_map_from = std::uint64_t{64} << 10; ///< smaller files are read

} // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

void Fd::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Result<std::unique_ptr<Spool>> Spool::create(std::optional<std::uint64_t> size,
                                             const Options& options) {
  std::unique_ptr<Spool> spool(new Spool(options));
  spool->memory_ = Fd(memfd_create("hubgate-spool", MFD_CLOEXEC));
  if (!spool->memory_) return system_error("spool in memory");
  spool->disk_ = Fd(open(options.directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!spool->disk_) return system_error("spool in " + options.directory);
  spool->state_fd_ = Fd(memfd_create("hubgate-arrival", MFD_CLOEXEC));
  if (!spool->state_fd_ || ftruncate(spool->state_fd_.get(), sizeof(ArrivalState)) != 0)
    return system_error("spool state");
  void* map = mmap(nullptr, sizeof(ArrivalState), PROT_READ | PROT_WRITE, MAP_SHARED,
                   spool->state_fd_.get(), 0);
  if (map == MAP_FAILED) return system_error("spool state");
  spool->state_ = new (map) ArrivalState;
  spool->state_->memory_bytes = options.memory_bytes;
  if (size) spool->state_->size.store(*size);
  return spool;
}

Spool::~Spool() {
  if (state_ == nullptr) return;
  // A reader that still waits must not wait for ever.
  if (state_->phase.load() == ArrivalState::arriving) cut();
  munmap(state_, sizeof(ArrivalState));
}

void Spool::wake() {
  state_->sequence.fetch_add(1);
  syscall(SYS_futex, &state_->sequence, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

Result<void> Spool::write_at(int fd, std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("spool");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<void> Spool::store(std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const bool in_memory = offset < options_.memory_bytes;
    const std::uint64_t room = in_memory ? options_.memory_bytes - offset : bytes.size();
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(room, bytes.size()));
    if (auto written = write_at(in_memory ? memory_.get() : disk_.get(), offset, bytes.first(n));
        !written)
      return written.error();
    if (!in_memory) on_disk_ += n;
    offset += n;
    bytes = bytes.subspan(n);
  }
  return {};
}

Result<void> Spool::store_kept(std::uint64_t offset, Bytes bytes) {
  const std::uint64_t end = offset + bytes.size();
  for (std::size_t i = kept_at_; i < kept_.size() && kept_[i].begin < end; ++i) {
    const std::uint64_t kept_end = kept_[i].begin + kept_[i].length;
    if (kept_end <= end && i == kept_at_) ++kept_at_;
    const std::uint64_t from = std::max(kept_[i].begin, offset);
    const std::uint64_t to = std::min(kept_end, end);
    if (from >= to) continue;
    const Bytes part =
        bytes.subspan(static_cast<std::size_t>(from - offset), static_cast<std::size_t>(to - from));
    if (auto written = store(from, part); !written) return written.error();
  }
  return {};
}

Result<void> Spool::append(Bytes bytes) {
  if (dropped_) {
    if (auto written = store_kept(total_, bytes); !written) return written.error();
    // Keep the last k_held_tail bytes, in memory, in a ring.
    constexpr auto k_ring = static_cast<std::size_t>(k_held_tail);
    if (tail_.empty()) tail_.resize(k_ring);
    total_ += bytes.size();
    std::uint64_t at = total_ - bytes.size();
    if (bytes.size() > k_ring) {
      at += bytes.size() - k_ring;
      bytes = bytes.last(k_ring);
    }
    while (!bytes.empty()) {
      const auto slot = static_cast<std::size_t>(at % k_ring);
      const std::size_t n = std::min(bytes.size(), k_ring - slot);
      std::copy_n(bytes.begin(), n, tail_.begin() + static_cast<std::ptrdiff_t>(slot));
      bytes = bytes.subspan(n);
      at += n;
    }
    return {};
  }
  if (auto written = store(total_, bytes); !written) return written.error();
  total_ += bytes.size();
  state_->arrived.store(total_);
  wake();
  return {};
}

void Spool::drop_rest(std::vector<KeptRange> kept) {
  if (dropped_) return;
  dropped_ = true;
  kept_ = std::move(kept);
  std::sort(kept_.begin(), kept_.end(),
            [](const KeptRange& a, const KeptRange& b) { return a.begin < b.begin; });
  dropped_at_ = total_;
}

void Spool::finish() {
  if (dropped_ && total_ > dropped_at_) {
    const std::uint64_t begin = std::max(dropped_at_, total_ - std::min(total_, k_held_tail));
    const auto ring = static_cast<std::uint64_t>(tail_.size());
    for (std::uint64_t at = begin; at < total_;) {
      const auto slot = static_cast<std::size_t>(at % ring);
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(ring - slot, total_ - at));
      if (!write_at(memory_.get(), at, Bytes(tail_).subspan(slot, n))) {
        cut();
        return;
      }
      at += n;
    }
    state_->tail_begin.store(begin);
  }
  state_->size.store(total_);
  state_->phase.store(ArrivalState::complete);
  wake();
}

void Spool::cut() {
  state_->size.store(total_);
  state_->phase.store(ArrivalState::cut);
  wake();
}

std::vector<std::uint8_t> Spool::read(std::uint64_t offset, std::size_t n) const {
  std::vector<std::uint8_t> out;
  const std::uint64_t kept = dropped_ ? dropped_at_ : total_;
  if (offset >= kept) return out;
  out.resize(static_cast<std::size_t>(std::min<std::uint64_t>(n, kept - offset)));
  std::size_t got = 0;
  while (got < out.size()) {
    const std::uint64_t at = offset + got;
    const bool in_memory = at < options_.memory_bytes;
    const std::uint64_t room = in_memory ? options_.memory_bytes - at : out.size();
    const ssize_t piece =
        pread(in_memory ? memory_.get() : disk_.get(), out.data() + got,
              static_cast<std::size_t>(std::min<std::uint64_t>(out.size() - got, room)),
              static_cast<off_t>(at));
    if (piece < 0 && errno == EINTR) continue;
    if (piece <= 0) break;
    got += static_cast<std::size_t>(piece);
  }
  out.resize(got);
  return out;
}

Result<std::unique_ptr<ArrivingSource>> ArrivingSource::from_spool(Fd memory, Fd disk, Fd state) {
  void* map = mmap(nullptr, sizeof(ArrivalState), PROT_READ, MAP_SHARED, state.get(), 0);
  if (map == MAP_FAILED) return system_error("arrival state");
  std::unique_ptr<ArrivingSource> source(new ArrivingSource);
  source->memory_ = std::move(memory);
  source->disk_ = std::move(disk);
  source->state_ = static_cast<const ArrivalState*>(map);
  return source;
}

std::unique_ptr<ArrivingSource> ArrivingSource::from_file(Fd file, std::uint64_t size) {
  std::unique_ptr<ArrivingSource> source(new ArrivingSource);
  source->disk_ = std::move(file);
  source->file_size_ = size;
  if (size >= k_map_from && size <= SIZE_MAX) {
    void* map = mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE,
                     source->disk_.get(), 0);
    if (map != MAP_FAILED) {
      madvise(map, static_cast<std::size_t>(size), MADV_SEQUENTIAL);
      source->map_ = static_cast<const std::uint8_t*>(map);
      source->pages_ = MappedPages(source->map_, size);
    }
  }
  return source;
}

ArrivingSource::~ArrivingSource() {
  if (map_ != nullptr)
    munmap(const_cast<std::uint8_t*>(map_), static_cast<std::size_t>(file_size_));
  if (state_ != nullptr) munmap(const_cast<ArrivalState*>(state_), sizeof(ArrivalState));
}

std::optional<std::uint64_t> ArrivingSource::size() {
  if (state_ == nullptr) return file_size_;
  const std::uint64_t size = state_->size.load();
  if (size == ArrivalState::k_unknown) return std::nullopt;
  return size;
}

bool ArrivingSource::random_access() {
  if (state_ == nullptr) return true;
  return state_->phase.load() != ArrivalState::arriving &&
         state_->tail_begin.load() == ArrivalState::k_unknown;
}

// The end of the kept bytes that `offset` lies among.
std::optional<std::uint64_t> ArrivingSource::kept_end(std::uint64_t offset) const {
  const auto behind =
      std::upper_bound(kept().begin(), kept().end(), offset,
                       [](std::uint64_t at, const KeptRange& range) { return at < range.begin; });
  if (behind == kept().begin()) return std::nullopt;
  const KeptRange& range = *std::prev(behind);
  if (offset - range.begin >= range.length) return std::nullopt;
  return range.begin + range.length;
}

std::uint64_t ArrivingSource::wait_for(std::uint64_t offset, std::uint64_t end) {
  if (state_ == nullptr) return file_size_;
  for (;;) {
    const std::uint32_t sequence = state_->sequence.load();
    const std::uint32_t phase = state_->phase.load();
    const std::uint64_t arrived = state_->arrived.load();
    if (arrived >= end) return arrived;
    if (phase != ArrivalState::arriving) {
      if (phase == ArrivalState::cut) fault_ = Fault::truncated;
      const std::uint64_t size = state_->size.load();
      const std::uint64_t tail = state_->tail_begin.load();
      if (tail == ArrivalState::k_unknown || tail <= arrived) return size;
      if (offset >= tail) return size;
      if (const auto end_of_kept = kept_end(offset)) {
        if (*end_of_kept >= tail) return size;
        if (end <= *end_of_kept) return *end_of_kept;
      }
      if (offset < size && end > arrived && size > arrived) fault_ = Fault::discarded;
      return arrived;
    }
    syscall(SYS_futex, &state_->sequence, FUTEX_WAIT, sequence, nullptr, nullptr, 0);
  }
}

bool ArrivingSource::pread_all(std::uint64_t offset, std::span<std::uint8_t> out) {
  const std::uint64_t boundary = state_ == nullptr ? 0 : state_->memory_bytes;
  const std::uint64_t tail =
      state_ == nullptr ? ArrivalState::k_unknown : state_->tail_begin.load();
  while (!out.empty()) {
    const bool in_memory = offset < boundary || offset >= tail;
    std::size_t want = out.size();
    if (offset < boundary)
      want = static_cast<std::size_t>(std::min<std::uint64_t>(want, boundary - offset));
    else if (offset < tail)
      want = static_cast<std::size_t>(std::min<std::uint64_t>(want, tail - offset));
    const ssize_t n = pread(in_memory ? memory_.get() : disk_.get(), out.data(), want,
                            static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      fault_ = Fault::io;
      return false;
    }
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return true;
}

Bytes ArrivingSource::read(std::uint64_t offset, std::size_t n, std::uint64_t readable) {
  if (offset >= readable) return {};
  const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(n, readable - offset));
  if (map_ != nullptr) {
    pages_.looked_at(want);
    return {map_ + offset, want};
  }
  if (offset >= buffer_begin_ && offset - buffer_begin_ <= buffer_.size() &&
      buffer_.size() - (offset - buffer_begin_) >= want)
    return Bytes(buffer_).subspan(static_cast<std::size_t>(offset - buffer_begin_), want);
  const auto ahead = static_cast<std::size_t>(
      std::min<std::uint64_t>(std::max(want, k_read_ahead), readable - offset));
  buffer_.resize(ahead);
  buffer_begin_ = offset;
  if (!pread_all(offset, buffer_)) {
    buffer_.clear();
    return {};
  }
  return Bytes(buffer_).first(want);
}

Bytes ArrivingSource::view(std::uint64_t offset, std::size_t n) {
  const std::uint64_t end = n > ~std::uint64_t{0} - offset ? ~std::uint64_t{0} : offset + n;
  return read(offset, n, wait_for(offset, end));
}

Bytes ArrivingSource::some(std::uint64_t offset, std::size_t n) {
  return read(offset, n, wait_for(offset, offset + 1));
}

std::uint64_t ArrivingSource::wait_end() {
  if (state_ == nullptr) return file_size_;
  for (;;) {
    const std::uint32_t sequence = state_->sequence.load();
    const std::uint32_t phase = state_->phase.load();
    if (phase != ArrivalState::arriving) {
      if (phase == ArrivalState::cut) fault_ = Fault::truncated;
      return state_->size.load();
    }
    syscall(SYS_futex, &state_->sequence, FUTEX_WAIT, sequence, nullptr, nullptr, 0);
  }
}

} // namespace hubgate
