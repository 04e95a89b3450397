#pragma once
// CasSource: the bytes of a file, or a range of them, out of the hub's CAS: its reconstruction is
// asked for, what the terms need is fetched with several requests at once, and its chunks are put
// in order. The bytes are claims like any others: a flight hashes them, a delivery compares them
// with the block list.
#include "proxy/cas/chunk_reader.hpp"
#include "proxy/cas/known_chunks.hpp"
#include "proxy/cas/part_file.hpp"
#include "proxy/cas/ticket.hpp"
#include "proxy/relay/range.hpp"

namespace hubgate::proxy {

/// What a source asks for, and as whom.
struct CasAsk {
  CasTicket ticket;
  Headers fields; ///< of the client, that the CAS sees too
  const Hub* hub = nullptr;
};

/// What is left of a whole file that was fetched.
struct CasCopy {
  std::shared_ptr<const KnownChunks> chunks; ///< null until they were found to make the file's id
  std::shared_ptr<PartFile> parts;           ///< null when they are not all there
};

/// Asks the CAS where the bytes `range` of the ticket's file are. Nothing: `error`, and the
/// answer's status in `status` (0: there was none).
Task<std::optional<xet::Reconstruction>>
ask_reconstruction(Gate& gate, const CasAsk& ask, ByteRange range, int& status, std::string& error);

class CasSource final : public BodySource {
public:
  /// Asks for the reconstruction of `range` of the file. `copy`: what is left is put there, or
  /// null; of a whole file only. Null with a line in `error`.
  static Task<std::unique_ptr<CasSource>> open(Gate& gate, CasAsk ask, ByteRange range,
                                               std::shared_ptr<CasCopy> copy, std::string& error);
  ~CasSource() override;

  /// Fills `out` unless the end comes first. Of a whole file the end comes only when its chunks
  /// were found to be those that its id names.
  Task<std::int64_t> read(std::span<std::uint8_t> out) override;
  std::string error() const override { return error_; }
  std::optional<std::uint64_t> length() const override { return range_.length(); }

private:
  CasSource(Gate& gate, CasAsk ask, ByteRange range, std::shared_ptr<CasCopy> copy)
      : gate_(gate), ask_(std::move(ask)), range_(range), copy_(std::move(copy)),
        reader_(gate.loop, gate.pool) {}
  Task<bool> reopen();
  Task<bool> begin_part();
  Task<bool> next_chunk();
  bool take_chunk(Bytes raw);
  bool finish();
  bool fail(std::string why);
  bool whole() const { return range_.first == 0 && range_.last + 1 == ask_.ticket.size; }

  Gate& gate_;
  CasAsk ask_;
  ByteRange range_;
  std::shared_ptr<CasCopy> copy_;
  std::string error_;
  std::shared_ptr<PartFile> parts_;
  std::unique_ptr<PartBody> body_; ///< of the part that is being read; null: between two
  ChunkReader reader_;
  std::size_t part_ = 0;           ///< being read, or the next one
  std::uint32_t chunk_ = 0;        ///< number of the next one that comes
  std::size_t wanted_ = 0;         ///< of the part's ranges
  std::uint64_t skip_ = 0;         ///< bytes before the range
  std::uint64_t taken_ = 0;        ///< bytes of the range that have come
  Bytes current_;                  ///< what is left of the chunk that came last
  std::vector<xet::Chunk> chunks_; ///< of a whole file
  int reopened_ = 0;
};

} // namespace hubgate::proxy
