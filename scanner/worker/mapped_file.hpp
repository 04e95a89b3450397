#pragma once
// MappedFile: a complete file of known length, read in place. What was read is given back to the
// system now and then, so that a large file is not counted as memory of who reads it once.
#include "scanner/core/source.hpp"

#include <memory>

namespace hubgate {

/// Gives mapped pages back after so many bytes were looked at.
class MappedPages {
public:
  MappedPages() = default;
  MappedPages(const std::uint8_t* map, std::uint64_t size) : map_(map), size_(size) {}
  /// `n` bytes are about to be looked at. Views that were given out stay valid: what is looked at
  /// again is mapped again.
  void looked_at(std::uint64_t n);

private:
  const std::uint8_t* map_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t seen_ = 0;
};

class MappedFile final : public Source {
public:
  /// Null when it can't be mapped. The descriptor stays the caller's. Whoever shrinks the file ends
  /// the process that reads it (SIGBUS).
  static std::unique_ptr<MappedFile> map(int fd, std::uint64_t size);
  ~MappedFile() override;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes all() const { return {map_, static_cast<std::size_t>(size_)}; }

  std::optional<std::uint64_t> size() override { return size_; }
  Bytes view(std::uint64_t offset, std::size_t n) override;
  bool random_access() override { return true; }
  std::uint64_t wait_end() override { return size_; }

private:
  MappedFile(const std::uint8_t* map, std::uint64_t size)
      : map_(map), size_(size), pages_(map, size) {}
  const std::uint8_t* map_;
  std::uint64_t size_;
  MappedPages pages_;
};

} // namespace hubgate
