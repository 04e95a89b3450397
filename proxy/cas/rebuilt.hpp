#pragma once
// Rebuilt: a file of a shard, put together from the xorbs that it names.
#include "proxy/cas/shelf.hpp"
#include "proxy/xet/shard.hpp"
#include "scanner/core/source.hpp"

namespace hubgate::proxy {

/// Bytes [begin, end) of a xorb's decoded chunks.
struct Piece {
  std::shared_ptr<ShelvedXorb> xorb;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct Rebuilt {
  std::vector<Piece> pieces;
  std::uint64_t size = 0;
  std::vector<std::shared_ptr<ShelvedXorb>> xorbs; ///< of its terms, each once
};

enum class Missing { nothing, bytes, sense };

/// Finds the chunks of all terms, proves the file's id from them, and writes the range hashes into
/// `file`. Otherwise `error` says what is wrong: `bytes`, a xorb is not (or no longer) here;
/// `sense`, the shard contradicts itself or the bytes.
Missing rebuild(Shelf& shelf, const std::string& owner, xet::ShardFile& file, Rebuilt& out,
                std::string& error);

/// The file's bytes by offset, for threads beside the loop. `file` outlives it and is given up on
/// the loop.
class RebuiltSource final : public Source {
public:
  explicit RebuiltSource(const Rebuilt& file) : file_(file) {}
  std::optional<std::uint64_t> size() override { return file_.size; }
  Bytes view(std::uint64_t offset, std::size_t n) override;
  bool random_access() override { return true; }
  std::uint64_t wait_end() override { return file_.size; }
  Fault fault() const override { return failed_ ? Fault::io : Fault::none; }

private:
  const Rebuilt& file_;
  std::vector<std::uint8_t> read_;
  bool failed_ = false;
};

/// The file's bytes, in order.
class RebuiltBody final : public BodySource {
public:
  RebuiltBody(Loop& loop, Rebuilt file) : loop_(loop), file_(std::move(file)) {}
  Task<std::int64_t> read(std::span<std::uint8_t> out) override;
  std::string error() const override { return "what was uploaded can't be read back"; }
  std::optional<std::uint64_t> length() const override { return file_.size; }

private:
  Loop& loop_;
  Rebuilt file_;
  std::size_t piece_ = 0;
  std::uint64_t at_ = 0; ///< in the piece
};

} // namespace hubgate::proxy
