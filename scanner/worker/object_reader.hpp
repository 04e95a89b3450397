#pragma once
// ObjectReader: a process in the sandbox that reads Git's packs and loose objects. It is given open
// files, never a path, and answers with kinds, sizes and bytes; whoever receives an object hashes
// it, so that a reader that was taken over can at most refuse. Questions may be asked ahead: the
// process then inflates while the gate works on what came before.
#include "scanner/gitstore/pack.hpp"
#include "scanner/worker/worker.hpp"

#include <deque>

namespace hubgate {

class ObjectReader {
public:
  struct ObjectPlace {
    std::uint32_t pack = 0; ///< as add_pack() said
    std::uint64_t offset = 0;
  };
  struct Answer {
    git::ObjectHeader header;
    bool left_out = false; ///< larger than was wanted, or only to be had by stream()
    Bytes bytes;           ///< valid until the next call
  };
  using Sink = std::function<Result<void>(Bytes piece)>;

  /// `id_size`: git::Oid::k_sha1 or k_sha256.
  static Result<std::unique_ptr<ObjectReader>> start(WorkerPool& pool, std::size_t id_size);

  /// A pack and its index, open for reading; the descriptors stay the caller's.
  Result<std::uint32_t> add_pack(int pack, int index);
  /// Two empty files for deltas to bases that are too large for memory.
  Result<void> add_scratch(int one, int other);

  /// Makes the index of a whole pack that has none into an empty file: `pack` is open for reading,
  /// `index` for writing. Needs add_scratch() for deltas to large objects. How many objects it has,
  /// or why it is no whole pack of at most `most` objects.
  Result<std::uint32_t> make_index(int pack, int index, std::uint32_t most);

  /// Asks for objects of at most `most` bytes each; answer() gives them in this order. Asks in
  /// portions: at most k_ahead unanswered..
  Result<void> ask(std::span<const ObjectPlace> places, std::uint64_t most);
  Result<void> ask_loose(int file, std::uint64_t most);
  static constexpr std::size_t k_ahead = 512;
  std::size_t unanswered() const { return asked_.size(); }
  Result<Answer> answer();

  /// An object of any size in pieces; nothing may be unanswered. `begin` hears what it is before
  /// the first piece.
  using Begin = std::function<void(const git::ObjectHeader&)>;
  Result<void> stream(const ObjectPlace& place, const Begin& begin, const Sink& sink);
  Result<void> stream_loose(int file, const Begin& begin, const Sink& sink);

private:
  ObjectReader() = default;
  Result<void> send(const void* question, std::size_t size, std::span<const int> files);
  Result<void> fill(std::size_t bytes);
  Result<void> receive_stream(const Begin& begin, const Sink& sink);
  Error gone();

  WorkerJob job_;
  Fd questions_;
  Fd answers_;
  std::uint32_t packs_ = 0;
  std::deque<std::uint64_t> asked_; ///< the most bytes wanted of each
  std::vector<std::uint8_t> buffer_;
  std::size_t at_ = 0;  ///< of what was not taken yet
  std::size_t end_ = 0; ///< of what was received
};

} // namespace hubgate
