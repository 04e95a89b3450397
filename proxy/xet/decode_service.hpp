#pragma once
// What decodes xorbs in the sandbox, and the frames that it and the gate exchange over two pipes.
// The gate feeds bytes and gets the chunks that are complete; it hashes them itself, so that a
// service that was taken over can at most refuse.
#include <cstddef>
#include <cstdint>

namespace hubgate::xet {

struct DecodeQuestion {
  enum Kind : std::uint32_t {
    begin_range, ///< chunks follow, as of XorbStream::Kind::range; what came before is forgotten
    begin_xorb,  ///< a whole xorb follows, perhaps with a footer
    piece,       ///< `length` bytes follow
    end,         ///< that was all
  };
  Kind kind = begin_range;
  std::uint32_t length = 0;
};
inline constexpr std::uint32_t k_decode_piece_most = std::uint32_t{256} << 10;

struct DecodeAnswer {
  enum Kind : std::uint32_t {
    chunk,  ///< `length` bytes follow: a chunk, decoded
    more,   ///< every complete chunk of the piece has been sent
    done,   ///< after `end`: nothing was left over
    failed, ///< `length` bytes follow: why
  };
  Kind kind = failed;
  std::uint32_t length = 0;
};
inline constexpr std::uint32_t k_decode_message_most = 300;

/// A WorkerService. Every piece is answered by its chunks and `more`, every end by `done`; nothing
/// is answered to the beginnings. After `failed` come no further answers until the next beginning.
void serve_decoding(int questions, int answers);

} // namespace hubgate::xet
