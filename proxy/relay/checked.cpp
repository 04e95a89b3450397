#include "proxy/relay/checked.hpp"

#include "proxy/cache/serve.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

// Reads exactly n bytes into the front of `out`; false with a line in `error`.
Task<bool> read_block(Exchange& source, std::span<std::uint8_t> out, std::string& error) {
  std::size_t have = 0;
  while (have < out.size()) {
    const std::int64_t n = co_await source.read(out.subspan(have));
    if (n <= 0) {
      error = n == 0 ? "the upstream's answer is too short"
                     : "the upstream's answer broke off: " + source.error();
      co_return false;
    }
    have += static_cast<std::size_t>(n);
  }
  co_return true;
}

// The upstream's body from `bytes.first` on. Null with a line in `error`.
Task<std::unique_ptr<Exchange>> open_range(Visit& visit, Ask ask, ByteRange bytes,
                                           std::uint64_t size, std::string& error) {
  ask.fetch.method = "GET";
  ask.fetch.stop_at_border = false;
  const bool whole = bytes.first == 0 && bytes.last + 1 == size;
  if (whole)
    ask.fetch.headers.remove("Range");
  else
    ask.fetch.headers.set("Range", "bytes=" + std::to_string(bytes.first) + "-" +
                                       std::to_string(bytes.last));
  Fetched got = co_await visit.gate.upstream.follow(std::move(ask.fetch));
  if (!got.last) {
    error = got.error;
    co_return nullptr;
  }
  const int status = got.last->head.status;
  const auto field = got.last->head.headers.get("content-range");
  const auto range = field ? parse_content_range(*field) : std::nullopt;
  const bool as_asked = status == 206 && range && range->range == bytes && range->total == size;
  if (as_asked || (status == 200 && whole)) co_return std::move(got.last);
  error = "the upstream answers " + std::to_string(status) + " where bytes of the object should be";
  if (status != 200) co_return nullptr;
  // It ignores ranges: skip what comes before.
  const auto scratch_size = static_cast<std::size_t>(k_block_size);
  std::vector<std::uint8_t> scratch(scratch_size);
  for (std::uint64_t left = bytes.first; left > 0;) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left, scratch.size()));
    const bool got_all = co_await read_block(*got.last, std::span(scratch).first(n), error);
    if (!got_all) co_return nullptr;
    left -= n;
  }
  error.clear();
  co_return std::move(got.last);
}

} // namespace

Task<bool> continue_checked(Visit& visit, Ask ask, std::shared_ptr<const Outcome> outcome,
                            ByteRange range, BodyWriter& writer, std::unique_ptr<Exchange> body) {
  const ObjectDigest& digest = outcome->digest;
  std::string error;
  const Road road = ask.road;
  const bool whole = range.first == 0 && range.length() == digest.size;
  bool alive = true;
  const std::uint64_t from_cache = co_await send_cached(visit, outcome, range, writer, alive);
  if (!alive) co_return false;
  if (from_cache == range.length()) {
    body.reset();
    const bool finished = co_await writer.finish();
    co_return finished;
  }
  if (from_cache != 0) body.reset();
  range.first += from_cache;
  std::shared_ptr<CacheFill> fill;
  if (whole && from_cache == 0) fill = begin_fill(visit, digest.size);
  const BlockSpan span = covering_blocks(range);
  if (!body)
    body = co_await open_range(visit, std::move(ask), span.bytes(digest.size), digest.size, error);
  std::vector<std::uint8_t> block;
  for (std::uint64_t index = span.first; body && index <= span.last; ++index) {
    const std::uint64_t begin = index * k_block_size;
    block.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(k_block_size, digest.size - begin)));
    const bool read = co_await read_block(*body, block, error);
    if (!read) break;
    visit.gate.metrics.bytes_in += block.size();
    if (!block_matches(digest, index, block)) {
      ++visit.gate.metrics.block_mismatches;
      body.reset();
      if (!writer.head_sent()) {
        co_await refuse(visit, road, "served-bytes-differ",
                        "the hub now sends other bytes for this object than were scanned");
        co_return false;
      }
      Context context = visit.context(road);
      Gatekeeper& keeper = visit.gate.keeper;
      co_await visit.gate.loop.offload([&] {
        return keeper.refuse("served-bytes-differ",
                             "the hub now sends other bytes for this object than were scanned",
                             context);
      });
      visit.keep_alive = false;
      co_return false;
    }
    if (fill) co_await feed(visit.gate.loop, fill, block);
    const std::uint64_t from = std::max(range.first, begin) - begin;
    const std::uint64_t to = std::min<std::uint64_t>(range.last + 1 - begin, block.size());
    const bool sent = co_await writer.send(std::span(block).subspan(
        static_cast<std::size_t>(from), static_cast<std::size_t>(to - from)));
    if (!sent) co_return false;
    if (index == span.last) {
      if (fill) fill->keep(digest.sha256); // every block of it was checked
      const bool finished = co_await writer.finish();
      co_return finished;
    }
  }
  ++visit.gate.metrics.cut_transfers;
  visit.keep_alive = false;
  if (!writer.head_sent()) co_await reply_error(visit, 502, error);
  co_return false;
}

Task<void> relay_checked(Visit& visit, Ask ask, std::shared_ptr<const Outcome> outcome,
                         Wanted wanted, Headers headers, std::unique_ptr<Exchange> body) {
  const std::uint64_t size = outcome->digest.size;
  BodyWriter writer(visit);
  if (size == 0) {
    writer.prepare(200, headers, 0);
    co_await writer.finish();
    co_return;
  }
  ByteRange range{0, size - 1};
  const bool part = wanted.kind == RangeKind::part;
  if (part) {
    range = wanted.range;
    headers.set("Content-Range", content_range(range, size));
  }
  writer.prepare(part ? 206 : 200, headers, range.length());
  co_await continue_checked(visit, std::move(ask), std::move(outcome), range, writer,
                            std::move(body));
}

} // namespace hubgate::proxy
