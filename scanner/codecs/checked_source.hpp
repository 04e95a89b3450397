#pragma once
// CheckedSource: a member's content on its way to the scan, with the CRC-32 of all of it. A reader
// that jumps forward is followed linearly, so that one pass is enough whatever is read.
#include "scanner/core/source.hpp"

namespace hubgate {

class CheckedSource : public Source {
public:
  /// `inner` must outlive this.
  explicit CheckedSource(Source& inner) : inner_(&inner) {}

  std::optional<std::uint64_t> size() override { return inner_->size(); }
  Bytes view(std::uint64_t offset, std::size_t n) override;
  Bytes some(std::uint64_t offset, std::size_t n) override;
  bool random_access() override { return inner_->random_access(); }
  std::uint64_t wait_end() override;
  Fault fault() const override { return inner_->fault(); }

  /// Reads what was not read yet; after it crc() and length() are those of the whole content.
  void finish();
  std::uint32_t crc() const { return crc_; }
  std::uint64_t length() const { return checked_; }

protected:
  CheckedSource() = default;
  /// Before anything else, once.
  void watch(Source& inner) { inner_ = &inner; }

private:
  void check_up_to(std::uint64_t offset);
  void check(std::uint64_t offset, Bytes bytes);

  Source* inner_ = nullptr;
  std::uint64_t checked_ = 0;
  std::uint32_t crc_ = 0;
};

} // namespace hubgate
