#pragma once
// StreamDecoder: what the codecs share. It feeds a codec with the bytes of a source in order, goes
// from one frame (gzip member, xz stream, …) to the next, and knows where in the source it is. It
// holds no input: the codec works on views, so memory is the codec's own state and nothing else.
// Wrap it in a DecodedSource to scan its output: that one charges the budget.
#include "scanner/core/source.hpp"

#include <limits>
#include <string>

namespace hubgate {

inline constexpr std::uint64_t k_to_the_end = std::numeric_limits<std::uint64_t>::max();

/// Memory that one decoder may take for its dictionary or window. `xz -9` needs 65 MiB, `zstd
/// --long` 128; what needs more ends with State::budget.
inline constexpr std::uint64_t k_codec_memory = std::uint64_t{160} << 20;

/// Bytes [begin, end) of a source, in order.
class CodecInput {
public:
  CodecInput(Source& source, std::uint64_t begin, std::uint64_t end)
      : source_(source), begin_(begin), end_(end), position_(begin) {}

  /// What is there at the position, at least one byte unless the input ends; at most `n`. Valid
  /// until the next call on the source.
  Bytes some(std::size_t n = std::size_t{64} << 10) { return source_.some(position_, clip(n)); }
  /// Exactly `n` bytes, fewer only where the input ends.
  Bytes peek(std::size_t n) { return source_.view(position_, clip(n)); }
  void consume(std::uint64_t n) { position_ += n; }
  /// False when more was consumed than there is.
  bool is_within() {
    return position_ == begin_ || (position_ <= end_ && !source_.view(position_ - 1, 1).empty());
  }
  void rewind() { position_ = begin_; }
  std::uint64_t position() const { return position_; }
  std::uint64_t begin() const { return begin_; }

private:
  std::size_t clip(std::size_t n) const {
    const std::uint64_t left = position_ < end_ ? end_ - position_ : 0;
    return left < n ? static_cast<std::size_t>(left) : n;
  }

  Source& source_;
  std::uint64_t begin_;
  std::uint64_t end_;
  std::uint64_t position_;
};

/// Bytes inside a compressed stream that are not compressed: a header field, a skippable frame.
struct SideData {
  std::string name;     ///< "FEXTRA", "skippable frame"…
  std::uint64_t offset; ///< in the source
  std::uint64_t length;
};

class StreamDecoder : public Decoder {
public:
  /// Decodes bytes [begin, end) of `source`, which must outlive the decoder.
  StreamDecoder(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end)
      : input_(source, begin, end) {}

  std::size_t produce(std::span<std::uint8_t> out) final;
  State state() const final { return state_; }
  void restart() final;

  /// Offset in the source of the first byte that was not used. After State::end the end of the
  /// last frame: what follows is not the codec's.
  std::uint64_t position() const { return between_frames_ ? frame_end_ : input_.position(); }
  /// Frames that were begun.
  std::uint64_t frames() const { return frames_; }
  /// A checksum or length in a trailer did not match what was decoded (gzip, zlib). Other codecs
  /// end with State::malformed then, as their libraries do.
  bool checksum_failed() const { return checksum_failed_; }
  /// Fields and frames beside the compressed data, at most k_side_data of them.
  const std::vector<SideData>& side_data() const { return side_data_; }
  bool side_data_dropped() const { return side_data_dropped_; }
  static constexpr std::size_t k_side_data = 1000;

protected:
  enum class Begin { frame, skip, none, malformed, truncated, unsupported, budget };
  enum class Progress { more, frame_end, truncated, malformed, unsupported, budget };
  struct Step {
    std::size_t used = 0;
    std::size_t made = 0;
    Progress progress = Progress::more;
  };

  /// Looks at the input for a frame, reads its header and makes the codec ready. `skip` when it
  /// consumed something that decodes to nothing; `none` when there is no frame here (nothing was
  /// consumed).
  virtual Begin begin_frame() = 0;
  /// Decodes some of `in`, which is empty at the end of the input.
  virtual Step step(Bytes in, std::span<std::uint8_t> out) = 0;
  /// Reads what follows the compressed data of a frame.
  virtual Progress end_frame() { return Progress::frame_end; }
  /// Only one frame: what follows is not looked at.
  virtual bool single_frame() const { return false; }

  CodecInput& input() { return input_; }
  void note_side_data(std::string_view name, std::uint64_t offset, std::uint64_t length);
  void note_checksum_failed() { checksum_failed_ = true; }

private:
  void start_frame();

  CodecInput input_;
  State state_ = State::more;
  bool between_frames_ = true;
  bool checksum_failed_ = false;
  std::uint64_t frames_ = 0;
  std::uint64_t frame_end_ = 0;
  std::vector<SideData> side_data_;
  bool side_data_dropped_ = false;
};

} // namespace hubgate
