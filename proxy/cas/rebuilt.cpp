#include "proxy/cas/rebuilt.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <unistd.h>

#include <algorithm>
#include <map>

namespace hubgate::proxy {

namespace {
/// Of one file: 64 GiB of chunks of the usual size, and 40 MiB of memory.
constexpr std::size_t k_chunks_most = std::size_t{1} << 20;
} // namespace

Missing rebuild(Shelf& shelf, const std::string& owner, xet::ShardFile& file, Rebuilt& out,
                std::string& error) {
  std::vector<xet::Chunk> chunks;
  std::map<xet::Hash, std::shared_ptr<ShelvedXorb>> known;
  for (xet::ShardTerm& term: file.terms) {
    std::shared_ptr<ShelvedXorb>& xorb = known[term.xorb];
    if (!xorb) {
      xorb = shelf.find(owner, term.xorb);
      if (!xorb) {
        error = "it builds on data that was not sent, or that the gate holds no longer";
        return Missing::bytes;
      }
      out.xorbs.push_back(xorb);
    }
    if (term.chunks.begin >= term.chunks.end || term.chunks.end > xorb->chunks.size()) {
      error = "the shard names chunks that its xorb does not have";
      return Missing::sense;
    }
    const auto range =
        std::span(xorb->chunks).subspan(term.chunks.begin, term.chunks.end - term.chunks.begin);
    const Piece piece{xorb, xorb->begin_of(term.chunks.begin), xorb->begin_of(term.chunks.end)};
    if (piece.end - piece.begin != term.bytes) {
      error = "the shard says other lengths than its chunks have";
      return Missing::sense;
    }
    if (range.size() > k_chunks_most - chunks.size()) {
      error = "the file consists of more chunks than the gate takes";
      return Missing::sense;
    }
    term.range_hash = xet::range_hash(range);
    chunks.insert(chunks.end(), range.begin(), range.end());
    out.size += term.bytes;
    out.pieces.push_back(piece);
  }
  if (xet::file_id(chunks) != file.id) {
    error = "the shard names other chunks than the file's id says";
    return Missing::sense;
  }
  return Missing::nothing;
}

namespace {

// Fills `out` from the piece that begins at `at`, and from those behind it. Moves `piece` and `at`
// on. -1: it can't be read.
std::int64_t read_pieces(const Rebuilt& file, std::size_t& piece, std::uint64_t& at,
                         std::span<std::uint8_t> out) {
  std::size_t filled = 0;
  while (filled < out.size() && piece < file.pieces.size()) {
    const Piece& from = file.pieces[piece];
    const std::uint64_t left = from.end - from.begin - at;
    if (left == 0) {
      ++piece;
      at = 0;
      continue;
    }
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(left, out.size() - filled));
    const ssize_t n = ::pread(from.xorb->file.get(), out.data() + filled, wanted,
                              static_cast<off_t>(from.begin + at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    filled += static_cast<std::size_t>(n);
    at += static_cast<std::uint64_t>(n);
  }
  return static_cast<std::int64_t>(filled);
}

} // namespace

Task<std::int64_t> RebuiltBody::read(std::span<std::uint8_t> out) {
  // Others have their turn: nothing here waits for anything else.
  co_await asio::post(loop_.context(), asio::use_awaitable);
  co_return read_pieces(file_, piece_, at_, out);
}

Bytes RebuiltSource::view(std::uint64_t offset, std::size_t n) {
  if (offset >= file_.size) return {};
  std::size_t piece = 0;
  std::uint64_t at = offset;
  for (; at >= file_.pieces[piece].end - file_.pieces[piece].begin; ++piece)
    at -= file_.pieces[piece].end - file_.pieces[piece].begin;
  read_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(n, file_.size - offset)));
  const std::int64_t got = read_pieces(file_, piece, at, read_);
  failed_ = got < 0;
  return Bytes(read_).first(failed_ ? 0 : static_cast<std::size_t>(got));
}

} // namespace hubgate::proxy
