#pragma once
// What the gate and the process that reads Git's objects say to each other. Questions are datagrams
// on a socket, because descriptors travel with them; answers are a head and bytes on a pipe.
// Internal to scanner/worker.
#include <array>
#include <cstddef>
#include <cstdint>

namespace hubgate::object_frames {

/// One datagram.
struct Question {
  enum Kind : std::uint32_t {
    add_pack,     ///< descriptors: pack, index; first: length of the pack, second: of the index
    add_scratch,  ///< descriptors: two empty files that may be written
    read,         ///< `count` items
    read_loose,   ///< descriptor: the file; first: its length, second: most bytes wanted
    stream,       ///< one item; the answer comes in pieces
    stream_loose, ///< like read_loose
    make_index,   ///< descriptors: pack, an empty file that may be written; first: length of the
                  ///< pack, second: most objects; the answer is `end` with the number of objects in
                  ///< size
  };
  struct Item {
    std::uint32_t pack = 0; ///< in the order of add_pack
    std::uint64_t offset = 0;
    std::uint64_t most = 0; ///< a larger object is left out
  };
  static constexpr std::size_t k_items = 128;

  Kind kind = read;
  std::uint32_t count = 0;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::array<Item, k_items> items{};
};

/// Of a question without items.
inline constexpr std::size_t k_short_question = offsetof(Question, items);

struct AnswerHead {
  enum State : std::uint32_t {
    whole,    ///< `length` bytes follow: the object
    left_out, ///< it is larger than wanted
    begin,    ///< pieces follow
    piece,    ///< `length` bytes follow
    end,      ///< that was all
    failed    ///< `length` bytes follow: why
  };
  State state = failed;
  std::uint32_t kind = 0; ///< git::Kind
  std::uint64_t size = 0; ///< of the object
  std::uint64_t length = 0;
};

inline constexpr std::uint64_t k_piece_max = std::uint64_t{1} << 20;
inline constexpr std::uint64_t k_message_max = 300;

} // namespace hubgate::object_frames
