#include "proxy/cas/pass_on.hpp"

#include "proxy/relay/gate.hpp"
#include "scanner/core/evidence.hpp"

#include <boost/json.hpp>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {
constexpr std::size_t k_at_once = 4;
constexpr std::size_t k_batch = std::size_t{256} << 10;
constexpr std::size_t k_line_most = std::size_t{64} << 10;
constexpr std::uint64_t k_answer_most = std::uint64_t{64} << 10;
constexpr std::uint64_t k_stream_most = std::uint64_t{16} << 20; ///< of heartbeats, altogether
constexpr std::size_t k_message_most = 300;
constexpr auto k_look = std::chrono::seconds(1);
constexpr auto k_wait = std::chrono::milliseconds(50);

/// May go well another time.
bool is_passing(int status) {
  return status == 408 || status == 429 || status >= 500;
}
} // namespace

PassOn::PassOn(Gate& gate, What what) : gate_(gate), what_(std::move(what)), changed_(gate.loop) {}

void PassOn::start() {
  gate_.loop.spawn([self = shared_from_this()] { return self->run(self); });
}

bool PassOn::fail(std::string why, bool retryable) {
  if (error_.empty()) {
    error_ = std::move(why);
    retryable_ = retryable;
  }
  return false;
}

bool PassOn::fail_with(int status, std::string_view of) {
  return fail("the hub's storage answers " + std::to_string(status) + " to the " + std::string(of),
              is_passing(status));
}

Fetch PassOn::fetch(std::string_view path) const {
  Fetch out = what_.request;
  out.method = "POST";
  out.url.target += path;
  return out;
}

Task<void> PassOn::run(std::shared_ptr<PassOn>) {
  running_ = std::min(k_at_once, std::max<std::size_t>(what_.xorbs.size(), 1));
  const std::size_t senders = running_;
  for (std::size_t i = 0; i < senders; ++i)
    gate_.loop.spawn([self = shared_from_this()] { return self->send_xorbs(self); });
  while (running_ > 0)
    co_await changed_.wait(k_look);
  if (error_.empty()) co_await send_shard();
  done_ = true;
  changed_.notify();
}

Task<void> PassOn::send_xorbs(std::shared_ptr<PassOn>) {
  while (next_ < what_.xorbs.size() && error_.empty()) {
    const std::shared_ptr<ShelvedXorb> xorb = what_.xorbs[next_++];
    while (xorb->on_its_way) // for another shard that names it
      co_await gate_.loop.sleep(k_wait);
    if (xorb->passed_on) continue;
    xorb->on_its_way = true;
    const bool sent = co_await send_xorb(*xorb);
    xorb->on_its_way = false;
    if (!sent) break;
    xorb->passed_on = true;
    xorb->used = Clock::now();
    // As it came it is of no more use; decoded it is, to later uploads.
    const int given_up =
        ::fallocate(xorb->file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(ShelvedXorb::k_stored_at),
                    static_cast<off_t>(std::max<std::uint64_t>(xorb->stored_size, 1)));
    if (given_up == 0) xorb->charge.set(xorb->charge.bytes() - xorb->stored_size);
  }
  --running_;
  changed_.notify();
}

Task<bool> PassOn::send_xorb(ShelvedXorb& xorb) {
  Fetch request = fetch("/v1/xorbs/default/" + xorb.hash.text());
  std::string error;
  std::unique_ptr<Upload> upload =
      co_await Upload::begin(gate_.upstream, std::move(request), xorb.stored_size, error);
  if (!upload) co_return fail(std::move(error), true);
  std::vector<std::uint8_t> piece(k_batch);
  bool taken = true;
  for (std::uint64_t at = 0; at < xorb.stored_size && taken;) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(k_batch, xorb.stored_size - at));
    const ssize_t n = ::pread(xorb.file.get(), piece.data(), wanted,
                              static_cast<off_t>(ShelvedXorb::k_stored_at + at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) co_return fail("what was uploaded can't be read back", false);
    const Bytes bytes = Bytes(piece).first(static_cast<std::size_t>(n));
    taken = co_await upload->send(bytes);
    at += bytes.size();
    sent_ += bytes.size();
    gate_.metrics.bytes_out += bytes.size();
  }
  const std::unique_ptr<Exchange> answer = co_await upload->finish(error);
  if (!answer) co_return fail(std::move(error), true);
  if (answer->head.status != 200) co_return fail_with(answer->head.status, "upload");
  const auto body = co_await answer->read_all(k_answer_most);
  if (!body) co_return fail("the answer of the hub's storage broke off", true);
  co_return true;
}

Task<bool> PassOn::send_shard() {
  Fetch request = fetch("/v2/shards");
  request.has_body = true;
  request.body = what_.shard;
  std::string error;
  std::unique_ptr<Exchange> answer = co_await gate_.upstream.request(std::move(request), error);
  if (!answer) co_return fail(std::move(error), true);
  if (answer->head.status == 200) {
    const bool done = co_await read_stream(*answer);
    co_return done;
  }
  if (answer->head.status != 404 && answer->head.status != 501)
    co_return fail_with(answer->head.status, "upload's list of files");
  answer.reset();
  Fetch older = fetch("/v1/shards");
  older.has_body = true;
  older.body = std::move(what_.shard);
  answer = co_await gate_.upstream.request(std::move(older), error);
  if (!answer) co_return fail(std::move(error), true);
  if (answer->head.status != 200)
    co_return fail_with(answer->head.status, "upload's list of files");
  co_return true;
}

// Lines of JSON until one says how it ended.
Task<bool> PassOn::read_stream(Exchange& answer) {
  std::vector<std::uint8_t> piece(4096);
  std::string pending;
  std::uint64_t read = 0;
  for (;;) {
    const std::int64_t n = co_await answer.read(piece);
    if (n < 0) co_return fail("the answer of the hub's storage broke off", true);
    read += static_cast<std::uint64_t>(n);
    pending += as_text(Bytes(piece).first(static_cast<std::size_t>(n)));
    if (n == 0 && !pending.empty()) pending += '\n';
    for (std::size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
      const std::string line = pending.substr(0, end);
      pending.erase(0, end + 1);
      if (line.empty()) continue;
      boost::system::error_code wrong;
      const json::value value = json::parse(line, wrong);
      const auto* frame = wrong ? nullptr : value.if_object();
      const auto* type = frame ? frame->if_contains("type") : nullptr;
      if (!type || !type->is_string())
        co_return fail("the hub's storage answers with something else than JSON", false);
      if (type->get_string() == "result") co_return true;
      if (type->get_string() != "error") continue;
      const auto* message = frame->if_contains("message");
      const auto* again = frame->if_contains("retryable");
      std::string text;
      if (message && message->is_string())
        text = printable(std::string_view(message->get_string()), k_message_most);
      co_return fail("the hub's storage refuses: " + text,
                     again && again->is_bool() && again->get_bool());
    }
    if (n == 0 || pending.size() > k_line_most || read > k_stream_most)
      co_return fail("the hub's storage does not say how the upload ended", n == 0);
    changed_.notify();
  }
}

} // namespace hubgate::proxy
