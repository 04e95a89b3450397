#pragma once
// For fuzz targets of formats: scans the input with one format alone, once as a file and once as
// an object that arrives without a known size. Crashes, hangs and sanitizers judge.
#include "scanner/core/session.hpp"

#include <array>
#include <cstdlib>

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

/// Aborts when the release offset goes back or beyond the object.
class ReleaseWatch final : public ReportSink {
public:
  explicit ReleaseWatch(std::uint64_t size) : size_(size) {}
  void on_finding(const Finding&) override {}
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t offset) override {
    if (offset < last_ || offset > size_) std::abort();
    last_ = offset;
  }
  void on_rest_is_inert(std::uint64_t) override {}

private:
  std::uint64_t size_;
  std::uint64_t last_ = 0;
};

inline void fuzz_format(const Format& format, const std::uint8_t* data, std::size_t size) {
  const std::array<const Format*, 1> table{&format};
  Limits limits;
  limits.decoded_bytes = std::uint64_t{8} << 20;
  limits.decode_window = std::uint64_t{64} << 10;
  limits.depth = 4;
  limits.entries = 1000;
  limits.findings = 50;
  limits.cpu_seconds = 5;
  MemorySource file(Bytes(data, size));
  scan_object(table, file, limits, nullptr);
  ArrivingSource arriving(Bytes(data, size));
  ReleaseWatch watch(size);
  const Report report = scan_object(table, arriving, limits, &watch);
  // The engine turns an exception into this gap; no scan may throw.
  for (const Gap& gap: report.gaps)
    if (gap.reason == Reason::crash) std::abort();
}

} // namespace hubgate::test
