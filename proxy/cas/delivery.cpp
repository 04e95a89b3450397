#include "proxy/cas/delivery.hpp"

#include "proxy/cas/layout.hpp"
#include "proxy/cas/pulls.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

/// Leaves with one send.
constexpr std::size_t k_send = std::size_t{512} << 10;
constexpr int k_tries = 2;

enum class Went {
  on,     ///< there is more to come
  done,   ///< all of it has left
  broken, ///< the source broke off: error()
  over,   ///< the client has been told, or is gone
};

/// A part, on its way.
class PartDelivery {
public:
  PartDelivery(Delivery& delivery, std::shared_ptr<const Mirror> mirror, std::size_t index)
      : delivery_(delivery), mirror_(std::move(mirror)), index_(index),
        part_(mirror_->parts[index]), reader_(delivery.visit.gate.loop, delivery.visit.gate.pool),
        next_(delivery.stored.first) {}

  /// From the copy or the CAS to the client.
  Task<Went> run();
  const std::string& error() const { return error_; }

private:
  Task<bool> open();
  Task<Went> take(Bytes raw);
  Task<bool> flush();

  Delivery& delivery_;
  std::shared_ptr<const Mirror> mirror_;
  std::size_t index_;
  const Mirror::Part& part_;
  std::unique_ptr<BodySource> source_;
  ChunkReader reader_;
  std::uint64_t next_;      ///< byte of the xorb that leaves next
  std::uint32_t taken_ = 0; ///< wanted chunks that came
  std::vector<std::uint8_t> out_;
  int status_ = 0; ///< of the CAS's answer
  std::string error_;
};

Task<bool> PartDelivery::open() {
  if (auto copy = mirror_->copy.lock()) {
    source_ = std::make_unique<PartBody>(std::move(copy), index_);
    co_return true;
  }
  Gate& gate = delivery_.visit.gate;
  const Hub& hub = *delivery_.session->hub;
  const auto url = parse_url(part_.from.url);
  const auto refusal = url ? hub.rules.refusal(*url) : std::nullopt;
  if (mirror_->copied || !url || refusal) {
    // Clients then ask for the reconstruction again.
    status_ = mirror_->copied ? 403 : 502;
    error_ = "this address is not known (any more)";
    if (refusal) error_ = "the hub's CAS lists an address that is not followed: " + *refusal;
    co_return false;
  }
  Headers fields = delivery_.session->fields;
  source_ = co_await ask_for_part(gate.upstream, hub, std::move(fields), *url, part_.from, status_,
                                  error_);
  co_return source_ != nullptr;
}

Task<bool> PartDelivery::flush() {
  if (out_.empty()) co_return true;
  const bool sent = co_await delivery_.writer.send(out_);
  out_.clear();
  co_return sent;
}

// A chunk of the file: compared, and what is wanted of it put behind what leaves.
Task<Went> PartDelivery::take(Bytes raw) {
  const std::uint64_t at = mirror_->stored_at(part_, taken_);
  const std::uint64_t end = mirror_->stored_at(part_, taken_ + 1);
  const std::size_t chunk = part_.first + taken_++;
  if (end <= next_) co_return Went::on; // was before the range, or has left before
  delivery_.visit.gate.metrics.bytes_in += raw.size();
  if (!mirror_->chunks->matches(chunk, raw)) {
    co_await refuse_differing(delivery_);
    co_return Went::over;
  }
  const std::size_t before = out_.size();
  append_stored(raw, out_);
  const std::uint64_t last = std::min(end - 1, delivery_.stored.last);
  out_.resize(before + static_cast<std::size_t>(last + 1 - at));
  if (next_ > at)
    out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(before),
               out_.begin() + static_cast<std::ptrdiff_t>(before + (next_ - at)));
  next_ = last + 1;
  const bool all = next_ > delivery_.stored.last;
  if (!all && out_.size() < k_send) co_return Went::on;
  const bool sent = co_await flush();
  if (!sent) co_return Went::over;
  const Went went = all ? Went::done : Went::on;
  co_return went;
}

Task<Went> PartDelivery::run() {
  const bool opened = co_await open();
  if (!opened && status_ == 403 && !delivery_.writer.head_sent()) {
    // Its address is old: clients then ask for the reconstruction again, and so does the gate.
    std::string why = error_;
    co_await reply_error(delivery_.visit, 403, std::move(why));
    co_return Went::over;
  }
  if (!opened) co_return Went::broken;
  const bool begun = co_await reader_.begin(*source_);
  if (!begun) co_return Went::broken;
  taken_ = 0;
  std::uint32_t number = part_.from.first_chunk;
  std::size_t wanted = 0;
  while (taken_ < part_.count) {
    Bytes raw;
    const ChunkReader::Got got = co_await reader_.next(raw);
    if (got != ChunkReader::Got::chunk) {
      error_ = reader_.error();
      if (error_.empty()) error_ = "a range of a xorb holds fewer chunks than listed";
      co_return Went::broken;
    }
    const xet::ChunkRange& range = part_.from.wanted[wanted];
    if (number++ < range.begin) continue; // lies in the range and is of no use
    if (number == range.end) ++wanted;
    const Went went = co_await take(raw);
    if (went != Went::on) co_return went;
  }
  co_return Went::broken;
}

} // namespace

Task<void> refuse_differing(Delivery& delivery) {
  Visit& visit = delivery.visit;
  ++visit.gate.metrics.block_mismatches;
  const char* const why = "the hub's CAS now sends other bytes for this object than were scanned";
  if (!delivery.writer.head_sent()) {
    co_await refuse(visit, Road::xet, "served-bytes-differ", why);
    co_return;
  }
  Context context = visit.context(Road::xet);
  Gatekeeper& keeper = visit.gate.keeper;
  co_await visit.gate.loop.offload(
      [&] { return keeper.refuse("served-bytes-differ", why, context); });
  visit.keep_alive = false;
}

Task<void> break_off(Delivery& delivery, std::string error) {
  ++delivery.visit.gate.metrics.cut_transfers;
  if (delivery.writer.head_sent())
    delivery.visit.keep_alive = false;
  else
    co_await reply_error(delivery.visit, 502, std::move(error));
}

Task<void> deliver_part(Delivery& delivery, std::shared_ptr<const Mirror> mirror,
                        std::size_t index) {
  const std::string key = pull_key(delivery.session->ticket);
  PartDelivery part(delivery, std::move(mirror), index);
  for (int i = 0; i < k_tries; ++i) {
    const Went went = co_await part.run();
    if (went == Went::over) co_return;
    if (went == Went::broken) continue;
    pulls_of(delivery.visit.gate).was_read(key, delivery.stored.length());
    co_await delivery.writer.finish();
    co_return;
  }
  std::string error = part.error();
  co_await break_off(delivery, std::move(error));
}

} // namespace hubgate::proxy
