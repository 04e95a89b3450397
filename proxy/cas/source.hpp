#pragma once
// CasSource: the bytes of a file, or a range of them, out of the hub's CAS: its reconstruction is
// asked for, what the terms need is fetched with several requests at once, decoded in a worker, and
// put in order. The bytes are claims like any others: a flight hashes them, a delivery compares
// them with the block list.
#include "proxy/cas/decoder.hpp"
#include "proxy/cas/ticket.hpp"
#include "proxy/relay/range.hpp"
#include "proxy/relay/upstream.hpp"
#include "proxy/xet/reconstruction.hpp"

#include <deque>

namespace hubgate::proxy {

/// What a source asks for, and as whom.
struct CasAsk {
  CasTicket ticket;
  Headers fields; ///< of the client, that the CAS sees too
  const Hub* hub = nullptr;
  /// Requests that run at once and bytes of each. Together what is held in memory.
  std::size_t ahead = 2;
  std::uint64_t piece = std::uint64_t{2} << 20;
};

/// One part of what a reconstruction lists: bytes [first, last] at `url`, and which of the chunks
/// in them are wanted. Ranges ascend and do not overlap.
struct CasPart {
  std::string url;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint32_t first_chunk = 0; ///< number of the first one that is fetched
  std::uint32_t end_chunk = 0;
  std::vector<xet::ChunkRange> wanted;
};

/// In the order of the file. Terms that lie behind each other in one range are fetched together.
std::vector<CasPart> plan_parts(const xet::Reconstruction& reconstruction);

class CasSource final : public BodySource {
public:
  /// Asks for the reconstruction of `range` of the file. Null with a line in `error`.
  static Task<std::unique_ptr<CasSource>> open(Loop& loop, WorkerPool& pool, Upstream& upstream,
                                               CasAsk ask, ByteRange range, std::string& error);
  ~CasSource() override;

  /// Fills `out` unless the end comes first. Of a whole file the end comes only when its chunks
  /// were found to be those that its id names.
  Task<std::int64_t> read(std::span<std::uint8_t> out) override;
  std::string error() const override { return error_; }
  std::optional<std::uint64_t> length() const override { return range_.length(); }

private:
  struct Piece;
  struct Fetches;
  CasSource(Loop& loop, Upstream& upstream, CasAsk ask, ByteRange range)
      : loop_(loop), upstream_(upstream), ask_(std::move(ask)), range_(range) {}
  Task<bool> reopen();
  Task<std::optional<xet::Reconstruction>> reconstruct(ByteRange range);
  void plan_fetches(const xet::Reconstruction& reconstruction);
  void start_more();
  Task<bool> next_chunk();
  Task<bool> feed_next(bool& ended);
  bool take_chunk(Bytes raw);
  bool finish();
  bool fail(std::string why);
  bool whole() const { return range_.first == 0 && range_.last + 1 == ask_.ticket.size; }

  Loop& loop_;
  Upstream& upstream_;
  CasAsk ask_;
  ByteRange range_;
  std::string error_;
  std::unique_ptr<Decoder> decoder_;
  std::shared_ptr<Fetches> fetches_; ///< outlives this while requests run
  std::vector<CasPart> parts_;
  std::size_t part_ = 0; ///< being decoded
  bool part_begun_ = false;
  bool fed_ = false; ///< the decoder has bytes whose chunks were not all taken
  std::vector<std::uint8_t> feeding_;
  std::size_t feeding_at_ = 0;
  std::size_t piece_ = 0;          ///< next to be fed
  std::uint32_t chunk_ = 0;        ///< number of the next one that comes
  std::size_t wanted_ = 0;         ///< of the part's ranges
  std::uint64_t skip_ = 0;         ///< bytes before the range
  std::uint64_t taken_ = 0;        ///< bytes of the range that have come
  Bytes current_;                  ///< what is left of the chunk that came last
  std::vector<xet::Chunk> chunks_; ///< of a whole file
  int reopened_ = 0;
};

} // namespace hubgate::proxy
