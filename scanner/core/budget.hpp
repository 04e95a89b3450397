#pragma once
// Limits and the budget they make. One budget is shared by an object and everything nested in it,
// so a bomb costs the budget once, however it is folded. Spending it is never silent: the session
// turns it into a gap with Reason::budget.
#include <cstdint>
#include <ctime>

namespace hubgate {

struct Limits {
  /// Bytes that decoders may produce for one object, nested ones included.
  std::uint64_t decoded_bytes = std::uint64_t{64} << 30;
  /// Produced bytes per byte of the object, beyond the first `ratio_free_bytes`. Deflate's own
  /// limit is 1032; honest checkpoints stay under 30, zeroed weights reach it.
  std::uint64_t ratio = 1100;
  std::uint64_t ratio_free_bytes = std::uint64_t{64} << 20;
  /// Containers inside containers.
  std::uint32_t depth = 12;
  /// Members of all containers of one object.
  std::uint64_t entries = 1'000'000;
  /// CPU seconds of the scan. The worker's RLIMIT_CPU is a little above it.
  double cpu_seconds = 120;
  /// Memory of the worker beyond what it inherited, in bytes.
  std::uint64_t memory = std::uint64_t{512} << 20;
  /// Listed findings of one object; the rest is counted.
  std::uint32_t findings = 1000;
  /// Decoded bytes kept by a stream for reading back without decoding again.
  std::uint64_t decode_window = std::uint64_t{16} << 20;
  /// Lines of listings (Session::show) of each kind that one object may answer with, and
  /// k_list_all (core/listings.hpp). 0: nobody asked for any.
  std::uint32_t listings = 0;
};

class Budget {
public:
  explicit Budget(const Limits& limits) : limits_(limits), started_(cpu_now()) {}

  const Limits& limits() const { return limits_; }

  /// Tells the size of the object that everything is measured against; 0 = not known yet.
  void set_object_size(std::uint64_t bytes) { object_size_ = bytes; }

  /// Each returns false when the limit is spent; the caller stops and the session records the gap.
  bool decoded(std::uint64_t bytes);
  /// decoded() has returned false: the object unpacks to more than anybody would want.
  bool is_bomb() const { return bomb_; }
  bool entry() { return ++entries_ <= limits_.entries; }
  /// Call now and then in long loops (each few thousand steps): it reads a clock.
  bool time_left() const { return cpu_now() - started_ < limits_.cpu_seconds; }

  std::uint64_t decoded_bytes() const { return decoded_; }

private:
  static double cpu_now() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  }

  Limits limits_;
  double started_;
  std::uint64_t object_size_ = 0;
  std::uint64_t decoded_ = 0;
  std::uint64_t entries_ = 0;
  bool bomb_ = false;
};

inline bool Budget::decoded(std::uint64_t bytes) {
  decoded_ += bytes;
  const bool measured = decoded_ > limits_.ratio_free_bytes && object_size_ != 0;
  bomb_ = bomb_ || decoded_ > limits_.decoded_bytes ||
          (measured && (decoded_ - limits_.ratio_free_bytes) / limits_.ratio > object_size_);
  return !bomb_;
}

} // namespace hubgate
