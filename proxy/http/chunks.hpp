#pragma once
// The chunked transfer coding (RFC 9112, 7.1), strict: sizes of at most 15 hex digits, CRLF only,
// extensions and trailers bounded and dropped. Fed with bytes cut anywhere.
#include "scanner/core/bytes.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace hubgate::proxy {

class ChunkDecoder {
public:
  struct Step {
    std::size_t consumed = 0; ///< bytes of `in`
    std::size_t produced = 0; ///< bytes written to `out`
  };
  /// Decodes until `in` or `out` is used up, the body ends or an error shows.
  Step decode(Bytes in, std::span<std::uint8_t> out);
  bool done() const { return state_ == State::done; }
  bool failed() const { return state_ == State::failed; }
  /// What stood behind the ';' of the newest size, untouched.
  const std::string& extension() const { return extension_; }

private:
  enum class State {
    size_first,
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer,
    trailer_lf,
    end_lf,
    done,
    failed
  };
  void control(std::uint8_t c);

  State state_ = State::size_first;
  std::uint64_t left_ = 0;
  std::uint32_t digits_ = 0;
  std::uint32_t extra_ = 0; ///< bytes of trailers so far
  std::string extension_;
};

/// "1f\r\n" for a chunk of 31 bytes.
std::string chunk_head(std::size_t size);

} // namespace hubgate::proxy
