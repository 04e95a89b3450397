#include "proxy/cas/decoder.hpp"
#include "proxy/cas/write.hpp"
#include "proxy/relay/reply.hpp"
#include "proxy/relay/scan_seat.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace hubgate::proxy {

namespace {

/// A footer beside the chunks, with room to spare: 8192 times 40 bytes.
constexpr std::uint64_t k_body_most = xet::k_xorb_most + (std::uint64_t{1} << 20);
constexpr std::size_t k_piece = std::size_t{256} << 10;
constexpr auto k_wait = std::chrono::milliseconds(50);

bool write_all(int fd, std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return true;
}

/// An upload that is being read.
struct Arriving {
  Arriving(Visit& visit_, std::shared_ptr<ShelvedXorb> xorb_)
      : visit(visit_), xorb(std::move(xorb_)) {}
  Visit& visit;
  std::shared_ptr<ShelvedXorb> xorb;
  std::unique_ptr<Decoder> decoder;
  std::uint64_t raw_size = 0;
  int status = 0; ///< of what went wrong; 403: it is not what it claims to be
  std::string error;

  bool fail(int with, std::string why) {
    status = with;
    error = std::move(why);
    return false;
  }
  bool charge() {
    xorb->charge.set(xorb->stored_size + raw_size);
    if (shelf_of(visit.gate).make_room(xorb->charge)) return true;
    return fail(429, "too many bytes are being held for scans at once; try again");
  }
};

// Takes the chunks that are complete. `last`: those after the end.
Task<bool> take_chunks(Arriving& arriving, bool last) {
  ShelvedXorb& xorb = *arriving.xorb;
  for (;;) {
    Bytes raw;
    const Decoder::Got got = co_await arriving.decoder->next(raw);
    if (got == Decoder::Got::failed)
      co_return arriving.fail(403, "the xorb is damaged: " + arriving.decoder->error());
    if (got != Decoder::Got::chunk) co_return !last || got == Decoder::Got::done;
    if (xorb.chunks.size() == xet::k_chunks_most || raw.size() > xet::k_chunk_most || raw.empty())
      co_return arriving.fail(403, "the xorb has more or longer chunks than there may be");
    xet::Chunk chunk;
    chunk.hash = xet::chunk_hash(raw);
    chunk.size = raw.size();
    xorb.chunks.push_back(chunk);
    if (!write_all(xorb.file.get(), arriving.raw_size, raw))
      co_return arriving.fail(503, "the spool can't be written");
    arriving.raw_size += raw.size();
    xorb.ends.push_back(arriving.raw_size);
    if (!arriving.charge()) co_return false;
  }
}

// The body into the file, as it is and decoded.
Task<bool> take_body(Arriving& arriving) {
  Connection& connection = arriving.visit.connection;
  ShelvedXorb& xorb = *arriving.xorb;
  std::vector<std::uint8_t> piece(std::min(k_piece, arriving.decoder->piece_most()));
  for (;;) {
    connection.stream().set_deadline(Clock::now() + arriving.visit.gate.config.limits.stall);
    const std::int64_t n = co_await connection.read_body(piece);
    connection.stream().set_deadline(TimePoint::max());
    if (n < 0) co_return arriving.fail(400, "the xorb broke off: " + connection.error());
    if (n == 0) break;
    const Bytes bytes = Bytes(piece).first(static_cast<std::size_t>(n));
    if (xorb.stored_size + bytes.size() > k_body_most)
      co_return arriving.fail(413, "a xorb of more than 64 MiB");
    if (!write_all(xorb.file.get(), ShelvedXorb::k_stored_at + xorb.stored_size, bytes))
      co_return arriving.fail(503, "the spool can't be written");
    xorb.stored_size += bytes.size();
    arriving.visit.gate.metrics.bytes_in += bytes.size();
    if (!arriving.charge()) co_return false;
    if (!arriving.decoder->feed(bytes))
      co_return arriving.fail(503, "the xorb can't be decoded: " + arriving.decoder->error());
    const bool taken = co_await take_chunks(arriving, false);
    if (!taken) co_return false;
  }
  if (!arriving.decoder->end())
    co_return arriving.fail(503, "the xorb can't be decoded: " + arriving.decoder->error());
  const bool complete = co_await take_chunks(arriving, true);
  if (!complete && arriving.error.empty()) arriving.fail(403, "the xorb ends too early");
  co_return complete;
}

Task<void> reply_inserted(Visit& visit, bool inserted) {
  Headers headers;
  headers.set("Content-Type", "application/json");
  std::string body = inserted ? "{\"was_inserted\":true}" : "{\"was_inserted\":false}";
  co_await reply(visit, 200, std::move(headers), std::move(body));
}

// A seat for its worker. Clients send many at once, and have no way to be told to wait.
Task<bool> wait_for_seat(Visit& visit, const std::string& user) {
  const TimePoint until = Clock::now() + visit.gate.config.limits.stall;
  for (;;) {
    const ServeLimits& limits = visit.gate.config.limits;
    const auto mine = visit.gate.quota.scans_of.find(user);
    const bool mine_fit =
        mine == visit.gate.quota.scans_of.end() || mine->second < limits.scans_per_user;
    if (mine_fit && visit.gate.quota.scans_now < limits.scans) co_return true;
    if (Clock::now() > until || visit.connection.stream().gone()) co_return false;
    co_await visit.gate.loop.sleep(k_wait);
  }
}

} // namespace

Task<void> serve_xorb_upload(Visit& visit, const CasTicket& ticket, const std::string& hash) {
  Gate& gate = visit.gate;
  const auto claimed = xet::Hash::from_text(hash);
  if (!claimed) {
    co_await reply_error(visit, 400, "this is no hash of a xorb");
    co_return;
  }
  if (visit.request.framing == Framing::length && visit.request.length > k_body_most) {
    co_await reply_error(visit, 413, "a xorb of more than 64 MiB");
    co_return;
  }
  const bool seated = co_await wait_for_seat(visit, ticket.user);
  if (!seated) {
    co_await reply_error(visit, 429, "too many objects are being scanned at once; try again");
    co_return;
  }
  const ScanSeat seat(gate.quota, ticket.user);
  const bool begun = co_await send_continue(visit);
  if (!begun) co_return;
  auto xorb = std::make_shared<ShelvedXorb>(gate.quota, gate.metrics, ticket.user);
  xorb->file = Fd(::open(gate.spool_directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  auto decoder = Decoder::start(gate.loop, gate.pool);
  if (!xorb->file || !decoder || !(*decoder)->begin(xet::XorbStream::Kind::xorb)) {
    std::string why = "the xorb can't be taken: the spool can't be opened";
    if (xorb->file) why = "the xorb can't be taken: no worker could be started";
    co_await reply_error(visit, 503, std::move(why));
    co_return;
  }
  Arriving arriving(visit, xorb);
  arriving.decoder = std::move(*decoder);
  bool taken = co_await take_body(arriving);
  arriving.decoder.reset();
  if (taken && xet::xorb_hash(xorb->chunks) != *claimed)
    taken = arriving.fail(403, "the xorb holds other chunks than its hash says");
  if (!taken) {
    std::string why = std::move(arriving.error);
    if (arriving.status == 403)
      co_await refuse(visit, Road::xet, "xorb-damaged", std::move(why));
    else
      co_await reply_error(visit, arriving.status, std::move(why));
    co_return;
  }
  xorb->hash = *claimed;
  xorb->used = Clock::now();
  Shelf& shelf = shelf_of(gate);
  const std::string owner = shelf_owner(ticket);
  const bool fresh = shelf.find(owner, *claimed) == nullptr;
  shelf.put(owner, std::move(xorb));
  co_await reply_inserted(visit, fresh);
}

std::string shelf_owner(const CasTicket& ticket) {
  return ticket.user + "\n" + ticket.cas;
}

Shelf& shelf_of(Gate& gate) {
  if (!gate.shelf) gate.shelf = std::make_shared<Shelf>(gate.config.limits);
  return *gate.shelf;
}

} // namespace hubgate::proxy
