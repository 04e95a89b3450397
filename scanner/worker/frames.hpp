#pragma once
// The frames of a worker's answer: u32 length of what follows, u8 type, u32 item, payload; integers
// little-endian, strings as u32 length and bytes. Internal to scanner/worker.
#include "scanner/core/report.hpp"
#include "scanner/core/session.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hubgate::frames {

enum class Type : std::uint8_t {
  finding = 1,
  gap = 2,
  release = 3, ///< u64
  inert = 4,   ///< u64, and a begin and a length of u64 for each range to keep
  done = 5,    ///< string format, u64 size, u64 dropped
  exit = 6,    ///< i32 wait status, written by the workers' parent
  ready = 7,   ///< the sandbox is up; first frame of every worker
  reference = 8,
  listing = 9,
};

inline constexpr std::size_t k_max_frame = std::size_t{16} << 10;
inline constexpr std::size_t k_max_string = 4096;

class Writer {
public:
  Writer(Type type, std::uint32_t item);
  Writer& u8(std::uint8_t value);
  Writer& u64(std::uint64_t value);
  Writer& text(std::string_view value);
  /// The whole frame with its length filled in.
  const std::vector<std::uint8_t>& bytes();

private:
  std::vector<std::uint8_t> bytes_;
};

std::vector<std::uint8_t> encode(std::uint32_t item, const Finding& finding);
std::vector<std::uint8_t> encode(std::uint32_t item, const Gap& gap);
std::vector<std::uint8_t> encode(std::uint32_t item, const Reference& reference);
std::vector<std::uint8_t> encode(std::uint32_t item, const Listing& listing);
/// Nothing when the payload is not what the encoders write. Texts are escaped again: the worker
/// may have been taken over by what it read.
std::optional<Finding> decode_finding(Bytes payload);
std::optional<Gap> decode_gap(Bytes payload);
std::optional<Reference> decode_reference(Bytes payload);
std::optional<Listing> decode_listing(Bytes payload);

} // namespace hubgate::frames
