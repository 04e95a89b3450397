#pragma once
// For fuzz targets of formats: scans the input with one format alone, once as a file and once as
// an object that arrives without a known size. Crashes, hangs and sanitizers judge.
#include "scanner/core/session.hpp"

#include <array>

namespace hubgate::test {

/// Bytes that are still on their way: no size, no random access, until wait_end().
class ArrivingSource final : public Source {
public:
  explicit ArrivingSource(Bytes bytes) : bytes_(bytes) {}
  std::optional<std::uint64_t> size() override {
    return ended_ ? std::optional<std::uint64_t>(bytes_.size()) : std::nullopt;
  }
  Bytes view(std::uint64_t offset, std::size_t n) override {
    MemorySource all(bytes_);
    return all.view(offset, n);
  }
  bool random_access() override { return ended_; }
  std::uint64_t wait_end() override {
    ended_ = true;
    return bytes_.size();
  }

private:
  Bytes bytes_;
  bool ended_ = false;
};

inline void fuzz_format(const Format& format, const std::uint8_t* data, std::size_t size) {
  const std::array<const Format*, 1> table{&format};
  Limits limits;
  limits.decoded_bytes = std::uint64_t{8} << 20;
  limits.entries = 1000;
  limits.findings = 50;
  limits.cpu_seconds = 5;
  MemorySource file(Bytes(data, size));
  scan_object(table, file, limits, nullptr);
  ArrivingSource arriving(Bytes(data, size));
  scan_object(table, arriving, limits, nullptr);
}

} // namespace hubgate::test
