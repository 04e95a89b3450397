#include "proxy/cas/part_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr auto k_look = std::chrono::seconds(1);
constexpr std::size_t k_receive = std::size_t{256} << 10;
/// So many parts are fetched at once, and more if they are small: together so many bytes.
constexpr std::size_t k_ahead = 8;
constexpr std::size_t k_ahead_most = 32;
constexpr std::uint64_t k_ahead_bytes = std::uint64_t{32} << 20;

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

} // namespace

Task<std::unique_ptr<Exchange>> ask_for_part(Upstream& upstream, const Hub& hub, Headers fields,
                                             const Url& url, const CasPart& part, int& status,
                                             std::string& error) {
  fields.set("Accept-Encoding", "identity");
  fields.set("Range", "bytes=" + std::to_string(part.first) + "-" + std::to_string(part.last));
  Fetch asked("GET", url, std::move(fields));
  asked.hub = &hub;
  status = 0;
  std::unique_ptr<Exchange> answer = co_await upstream.request(std::move(asked), error);
  if (!answer) co_return nullptr;
  status = answer->head.status;
  if ((status == 206 || status == 200) && answer->length() == part.bytes()) co_return answer;
  error = "the storage of the CAS answers " + std::to_string(status) +
          " where a range of a xorb should be";
  co_return nullptr;
}

PartFile::PartFile(Gate& gate, const Hub& hub, std::string user, Headers fields,
                   std::vector<CasPart> parts)
    : gate_(gate), hub_(hub), fields_(std::move(fields)), parts_(std::move(parts)),
      charge_(gate.quota, gate.metrics, std::move(user)), changed_(gate.loop) {}

Result<std::shared_ptr<PartFile>> PartFile::create(Gate& gate, const Hub& hub, std::string user,
                                                   Headers fields, std::vector<CasPart> parts) {
  std::shared_ptr<PartFile> out(
      new PartFile(gate, hub, std::move(user), std::move(fields), std::move(parts)));
  std::uint64_t at = 0;
  for (const CasPart& part: out->parts_) {
    auto url = parse_url(part.url);
    const auto refusal = url ? hub.rules.refusal(*url) : std::nullopt;
    if (!url || refusal)
      return Error{"the hub's CAS lists an address that is not followed" +
                   (refusal ? ": " + *refusal : "")};
    State state;
    state.url = std::move(*url);
    state.at = at;
    at += part.bytes();
    out->states_.push_back(std::move(state));
  }
  out->file_ = Fd(::open(gate.spool_directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!out->file_) return Error{"the spool can't be opened"};
  return out;
}

void PartFile::want(std::size_t index) {
  wanted_ = index;
  started_ = std::max(started_, wanted_);
  start_more();
}

void PartFile::taken(std::size_t index) {
  if (keep_) return;
  State& state = states_[index];
  const auto length = static_cast<off_t>(parts_[index].bytes());
  (void)fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  static_cast<off_t>(state.at), length);
  charge_.set(charge_.bytes() - state.here);
  state.taken = true;
}

void PartFile::start_more() {
  std::uint64_t bytes = 0;
  for (std::size_t i = wanted_; i < started_; ++i)
    bytes += parts_[i].bytes();
  while (!closed_ && started_ < parts_.size()) {
    const std::size_t ahead = started_ - wanted_;
    const bool room = ahead < k_ahead || (ahead < k_ahead_most && bytes < k_ahead_bytes);
    // Who has too much on disk goes on with one part after the other.
    const bool allowed = ahead == 0 || charge_.fits(gate_.config.limits);
    if (!room || !allowed) return;
    bytes += parts_[started_].bytes();
    gate_.loop.spawn(
        [self = shared_from_this(), index = started_] { return self->fetch(self, index); });
    ++started_;
  }
}

Task<bool> PartFile::receive(std::size_t index) {
  State& state = states_[index];
  int status = 0;
  const std::unique_ptr<Exchange> answer = co_await ask_for_part(
      gate_.upstream, hub_, fields_, state.url, parts_[index], status, state.error);
  if (!answer) co_return false;
  const std::uint64_t length = parts_[index].bytes();
  std::vector<std::uint8_t> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(k_receive, length)));
  while (state.here < length && !closed_ && !state.taken) {
    const auto room =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), length - state.here));
    const std::int64_t n = co_await answer->read(std::span(buffer).first(room));
    if (n <= 0) {
      state.error = "a range of a xorb broke off: " + answer->error();
      co_return false;
    }
    if (state.taken) break;
    const Bytes bytes = Bytes(buffer).first(static_cast<std::size_t>(n));
    if (!write_all(file_.get(), state.at + state.here, bytes)) {
      state.error = "the spool can't be written";
      co_return false;
    }
    state.here += bytes.size();
    charge_.add(bytes.size());
    changed_.notify();
  }
  // Reads the end, so that the connection can be used again.
  if (state.here == length) co_await answer->read_all(0);
  co_return true;
}

Task<void> PartFile::fetch(std::shared_ptr<PartFile>, std::size_t index) {
  const bool received = co_await receive(index);
  State& state = states_[index];
  if (!received && state.error.empty()) state.error = "a range of a xorb broke off";
  changed_.notify();
}

Task<std::int64_t> PartFile::read(std::size_t index, std::uint64_t offset,
                                  std::span<std::uint8_t> out, std::string& error) {
  const State& state = states_[index];
  const std::uint64_t length = parts_[index].bytes();
  if (offset >= length || out.empty()) co_return 0;
  while (state.here <= offset && state.error.empty())
    co_await changed_.wait(k_look);
  if (state.here <= offset) {
    error = state.error;
    co_return -1;
  }
  const auto most =
      static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), state.here - offset));
  for (;;) {
    const ssize_t n = pread(file_.get(), out.data(), most, static_cast<off_t>(state.at + offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) error = "the spool can't be read";
    co_return n <= 0 ? std::int64_t{-1} : std::int64_t{n};
  }
}

Task<std::int64_t> PartBody::read(std::span<std::uint8_t> out) {
  const std::int64_t n = co_await file_->read(index_, at_, out, error_);
  if (n > 0) at_ += static_cast<std::uint64_t>(n);
  co_return n;
}

} // namespace hubgate::proxy
