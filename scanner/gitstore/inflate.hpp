#pragma once
// Inflater: one zlib stream (RFC 1950) after the other, as Git keeps each object: the decoded
// length is known before, the encoded one is not. Streams and their checksums are read by zlib.
#include "scanner/core/source.hpp"

#include <zlib.h>

namespace hubgate::git {

class Inflater {
public:
  enum class State {
    more,
    done,      ///< the stream ended and its checksum is right
    malformed, ///< no zlib stream, or one that can't be decoded
    truncated, ///< the input ends inside the stream
    too_long,  ///< whole(): it decodes to more than was announced
    too_short, ///< whole(): it decodes to less
  };

  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Starts with the stream at bytes [begin, end) of `source`, which must outlive its use.
  void begin(Source& source, std::uint64_t begin, std::uint64_t end);
  /// Decodes up to out.size() bytes and returns how many; 0 when state() is no longer `more`.
  std::size_t produce(std::span<std::uint8_t> out);
  State state() const { return state_; }
  /// Offset in the source behind what was used; once `done` the end of the stream.
  std::uint64_t position() const { return position_; }

  /// Decodes a whole stream that must fill `out` exactly. `done` or what is wrong.
  State whole(Source& source, std::uint64_t begin, std::uint64_t end, std::span<std::uint8_t> out);

private:
  z_stream stream_{};
  Source* source_ = nullptr;
  std::uint64_t position_ = 0;
  std::uint64_t end_ = 0;
  State state_ = State::malformed;
};

/// For messages: "is cut", "can't be decoded", ….
const char* to_string(Inflater::State state);

} // namespace hubgate::git
