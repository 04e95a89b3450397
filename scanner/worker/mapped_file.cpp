#include "scanner/worker/mapped_file.hpp"

#include <sys/mman.h>

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::uint64_t k_kept = std::uint64_t{32} << 20;
/// A page that is looked at brings its neighbours along (fault-around).
constexpr std::uint64_t k_least = std::uint64_t{16} << 10;

} // namespace

void MappedPages::looked_at(std::uint64_t n) {
  if (size_ <= k_kept) return;
  seen_ += std::max(n, k_least);
  if (seen_ < k_kept) return;
  seen_ = 0;
  madvise(const_cast<std::uint8_t*>(map_), static_cast<std::size_t>(size_), MADV_DONTNEED);
}

std::unique_ptr<MappedFile> MappedFile::map(int fd, std::uint64_t size) {
  if (size == 0 || size > SIZE_MAX) return nullptr;
  void* map = mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED) return nullptr;
  return std::unique_ptr<MappedFile>(new MappedFile(static_cast<const std::uint8_t*>(map), size));
}

MappedFile::~MappedFile() {
  munmap(const_cast<std::uint8_t*>(map_), static_cast<std::size_t>(size_));
}

Bytes MappedFile::view(std::uint64_t offset, std::size_t n) {
  if (offset >= size_) return {};
  const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(n, size_ - offset));
  pages_.looked_at(length);
  return {map_ + offset, length};
}

} // namespace hubgate
