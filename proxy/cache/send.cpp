// What the cache's disk has, on its way to a client.
#include "proxy/cache/serve.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

/// Up to this, reading and checking cost less than going to another thread.
constexpr std::size_t k_small = std::size_t{64} << 10;
/// More transfers than this at once do without a second block in memory each.
constexpr std::uint32_t k_read_ahead_transfers = 32;
/// How far ahead of a piece that is not in memory the disk is asked to read.
constexpr std::uint64_t k_ahead = std::uint64_t{8} << 20;
constexpr std::size_t k_pieces = k_block_size / k_tagged;

bool read_fully(int fd, std::uint64_t at, std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd, out.data(), out.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<std::uint64_t>(n);
    out = out.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

// Whether all of it is in memory, and read now.
bool read_at_once(int fd, std::uint64_t at, std::span<std::uint8_t> out) {
  iovec part{out.data(), out.size()};
  return ::preadv2(fd, &part, 1, static_cast<off_t>(at), RWF_NOWAIT) ==
         static_cast<ssize_t>(out.size());
}

/// One block, read and compared with the list.
struct Block {
  std::vector<std::uint8_t> bytes;
  std::array<std::optional<Tag>, k_pieces> tags;
  bool ready = false;
  bool sound = false;
};

/// A transfer from the disk. Shared with the read ahead, which may outlive the request.
struct Transfer {
  Transfer(Gate& gate_, CacheEntry entry_, std::shared_ptr<const Outcome> outcome_)
      : gate(gate_), entry(std::move(entry_)), outcome(std::move(outcome_)),
        tags(gate_.cache->tags_of(outcome->digest.sha256, outcome->digest.size)),
        changed(gate_.loop) {
    ++gate.cached_transfers;
  }
  ~Transfer() { --gate.cached_transfers; }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  Gate& gate;
  CacheEntry entry;
  std::shared_ptr<const Outcome> outcome;
  std::shared_ptr<ObjectTags> tags;
  Event changed;
  std::array<Block, 2> blocks;
  std::vector<std::uint8_t> piece; ///< where the loop's memory can't be used

  std::uint64_t size() const { return outcome->digest.size; }
  // Whether all pieces of `bytes` have been compared with the list before.
  bool tagged(ByteRange bytes) const {
    for (std::uint64_t piece_at = bytes.first / k_tagged; piece_at <= bytes.last / k_tagged;
         ++piece_at)
      if (!tags->at(piece_at)) return false;
    return true;
  }
};

// What of `range` is in block number `index`.
ByteRange within(const ByteRange& range, std::uint64_t index) {
  const std::uint64_t begin = index * k_block_size;
  return {std::max(range.first, begin), std::min(range.last, begin + k_block_size - 1)};
}

Task<void> read_block(std::shared_ptr<Transfer> transfer, std::uint64_t index) {
  Block& block = transfer->blocks[index % 2];
  const ObjectDigest& digest = transfer->outcome->digest;
  const std::uint64_t begin = index * k_block_size;
  block.ready = false;
  block.bytes.resize(
      static_cast<std::size_t>(std::min<std::uint64_t>(k_block_size, digest.size - begin)));
  const Tagger& tagger = transfer->gate.cache->tagger();
  const auto work = [&] {
    if (!read_fully(transfer->entry.file.get(), begin, block.bytes) ||
        !block_matches(digest, index, block.bytes))
      return false;
    Bytes left = block.bytes;
    for (std::size_t i = 0; !left.empty(); ++i) {
      const std::size_t n = std::min(left.size(), k_tagged);
      block.tags[i] = tagger.of(left.first(n));
      left = left.subspan(n);
    }
    return true;
  };
  if (block.bytes.size() <= k_small)
    block.sound = work();
  else
    block.sound = co_await transfer->gate.loop.offload(work);
  for (std::size_t i = 0; block.sound && i < k_pieces; ++i)
    if (block.tags[i]) transfer->tags->set(index * k_pieces + i, *block.tags[i]);
  block.tags = {};
  block.ready = true;
  transfer->changed.notify();
}

struct Sent {
  std::uint64_t bytes = 0;
  bool sound = true;
  bool alive = true;
};

// Pieces whose tags are known. What is in the system's memory is read here and sent while it is in
// the processor's cache, which costs less than to give it to another thread and back.
Task<Sent> send_tagged(Visit& visit, Transfer& transfer, ByteRange range, BodyWriter& writer) {
  const bool tls = visit.connection.stream().is_tls();
  const int fd = transfer.entry.file.get();
  Sent out;
  for (std::uint64_t at = range.first; at <= range.last;) {
    const std::uint64_t index = at / k_tagged;
    const std::uint64_t begin = index * k_tagged;
    const auto n =
        static_cast<std::size_t>(std::min<std::uint64_t>(k_tagged, transfer.size() - begin));
    // Borrowed until the next await: TLS has taken the bytes by then.
    std::span<std::uint8_t> bytes = visit.gate.loop.scratch().first(tls ? n : 0);
    if (!tls) {
      transfer.piece.resize(n);
      bytes = transfer.piece;
    }
    if (!read_at_once(fd, begin, bytes)) {
      transfer.piece.resize(n);
      bytes = transfer.piece;
      out.sound = co_await visit.gate.loop.offload([&] {
        ::posix_fadvise(fd, static_cast<off_t>(begin + n), k_ahead, POSIX_FADV_WILLNEED);
        return read_fully(fd, begin, bytes);
      });
    }
    if (out.sound) out.sound = visit.gate.cache->tagger().of(bytes) == transfer.tags->at(index);
    if (!out.sound) co_return out;
    const auto from = static_cast<std::size_t>(at - begin);
    const auto to = static_cast<std::size_t>(std::min<std::uint64_t>(n, range.last + 1 - begin));
    out.alive = co_await writer.send(Bytes(bytes).subspan(from, to - from));
    if (!out.alive) co_return out;
    out.bytes += to - from;
    at += to - from;
  }
  co_return out;
}

} // namespace

Task<std::uint64_t> send_cached(Visit& visit, std::shared_ptr<const Outcome> outcome,
                                ByteRange range, BodyWriter& writer, bool& alive) {
  Gate& gate = visit.gate;
  alive = true;
  if (!gate.cache || visit.direction != Direction::pull) co_return 0;
  Cache& cache = *gate.cache;
  const ObjectDigest& digest = outcome->digest;
  std::optional<CacheEntry> entry =
      co_await gate.loop.offload([&] { return cache.find(digest.sha256, digest.size); });
  if (!entry) {
    ++gate.metrics.cache_misses;
    co_return 0;
  }
  const auto transfer = std::make_shared<Transfer>(gate, std::move(*entry), outcome);
  const BlockSpan span = covering_blocks(range);
  std::uint64_t out = 0;
  bool begun = false; // the reading of the block at hand
  for (std::uint64_t index = span.first; index <= span.last; ++index) {
    const ByteRange wanted = within(range, index);
    Sent sent;
    if (!begun && transfer->tagged(wanted)) {
      sent = co_await send_tagged(visit, *transfer, wanted, writer);
      // A client that takes all at once must not keep the others waiting.
      co_await boost::asio::post(gate.loop.context(), boost::asio::use_awaitable);
    } else {
      Block& block = transfer->blocks[index % 2];
      if (!begun) co_await read_block(transfer, index);
      while (!block.ready)
        co_await transfer->changed.wait(std::chrono::seconds(60));
      sent.sound = block.sound;
      begun = sent.sound && index < span.last && !transfer->tagged(within(range, index + 1)) &&
              gate.cached_transfers <= k_read_ahead_transfers;
      if (begun) {
        transfer->blocks[(index + 1) % 2].ready = false;
        gate.loop.spawn([transfer, index] { return read_block(transfer, index + 1); });
      }
      if (sent.sound) {
        const auto from = static_cast<std::size_t>(wanted.first - index * k_block_size);
        const auto n = static_cast<std::size_t>(wanted.length());
        sent.alive = co_await writer.send(Bytes(block.bytes).subspan(from, n));
        sent.bytes = sent.alive ? n : 0;
      }
    }
    out += sent.bytes;
    gate.metrics.cache_bytes += sent.bytes;
    alive = sent.alive;
    if (!alive) co_return out;
    if (!sent.sound) {
      co_await gate.loop.offload([&] {
        cache.evict(digest.sha256, Cache::Why::damage);
        return true;
      });
      co_return out;
    }
  }
  ++gate.metrics.cache_hits;
  co_return out;
}

} // namespace hubgate::proxy
