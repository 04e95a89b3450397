#include "proxy/http/connection.hpp"

#include <algorithm>
#include <cstring>

namespace hubgate::proxy {

namespace {
constexpr std::size_t k_head_read = std::size_t{2} << 10;
constexpr std::size_t k_body_read = std::size_t{64} << 10;
} // namespace

std::int64_t Connection::fail(std::string message) {
  if (error_.empty()) error_ = std::move(message);
  return -1;
}

void Connection::relax() {
  if (begin_ == buffer_.size() && buffer_.capacity() > 2 * k_head_read) {
    buffer_ = {};
    begin_ = 0;
  }
}

std::vector<std::uint8_t> Connection::take_rest() {
  std::vector<std::uint8_t> rest(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                                 buffer_.end());
  buffer_ = {};
  begin_ = 0;
  return rest;
}

Task<Connection::Got> Connection::read_head(std::string& head) {
  if (begin_ > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
  std::size_t seen = 0;
  for (;;) {
    const std::string_view text = as_text(buffer_);
    const std::size_t end = head_end(text, seen);
    if (end > k_max_head) co_return Got::too_large;
    if (end > 0) {
      head.assign(text.substr(0, end));
      begin_ = end;
      co_return Got::head;
    }
    seen = buffer_.size();
    if (seen >= k_max_head) co_return Got::too_large;
    buffer_.resize(seen + k_head_read);
    const std::int64_t n = co_await stream_->read({buffer_.data() + seen, k_head_read});
    buffer_.resize(seen + (n > 0 ? static_cast<std::size_t>(n) : 0));
    if (n > 0) continue;
    if (seen == 0) co_return Got::nothing;
    fail("the connection ended in the middle of a head");
    co_return Got::failed;
  }
}

void Connection::expect_body(Framing framing, std::uint64_t length) {
  framing_ = framing;
  left_ = length;
  chunks_ = {};
  complete_ = framing == Framing::none || (framing == Framing::length && length == 0);
}

Task<std::int64_t> Connection::read_raw(std::span<std::uint8_t> out) {
  if (begin_ < buffer_.size()) {
    const std::size_t n = std::min(out.size(), buffer_.size() - begin_);
    std::memcpy(out.data(), buffer_.data() + begin_, n);
    begin_ += n;
    co_return static_cast<std::int64_t>(n);
  }
  const std::int64_t n = co_await stream_->read(out);
  co_return n;
}

Task<std::int64_t> Connection::read_body(std::span<std::uint8_t> out) {
  if (complete_) co_return 0;
  if (framing_ == Framing::length) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, out.size()));
    const std::int64_t n = co_await read_raw(out.first(wanted));
    if (n == 0) co_return fail("the body is shorter than announced");
    if (n < 0) co_return -1;
    left_ -= static_cast<std::uint64_t>(n);
    complete_ = left_ == 0;
    co_return n;
  }
  if (framing_ == Framing::until_close) {
    const std::int64_t n = co_await read_raw(out);
    if (n == 0 && !stream_->ended_cleanly()) co_return fail("the body broke off");
    complete_ = n == 0;
    co_return n;
  }
  for (;;) {
    if (begin_ == buffer_.size()) {
      buffer_.resize(k_body_read);
      begin_ = 0;
      const std::int64_t n = co_await stream_->read(buffer_);
      buffer_.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
      if (n == 0) co_return fail("the chunked body broke off");
      if (n < 0) co_return -1;
    }
    const ChunkDecoder::Step step =
        chunks_.decode({buffer_.data() + begin_, buffer_.size() - begin_}, out);
    begin_ += step.consumed;
    if (chunks_.failed()) co_return fail("malformed chunked coding");
    if (step.produced > 0) {
      complete_ = chunks_.done();
      co_return static_cast<std::int64_t>(step.produced);
    }
    if (chunks_.done()) {
      complete_ = true;
      co_return 0;
    }
  }
}

Task<std::optional<std::string>> Connection::read_all(std::uint64_t most) {
  std::string out;
  too_large_ = framing_ == Framing::length && left_ > most;
  if (too_large_) {
    fail("the body is too large");
    co_return std::nullopt;
  }
  std::vector<std::uint8_t> chunk(static_cast<std::size_t>(
      framing_ == Framing::length ? std::clamp<std::uint64_t>(left_, 1, k_body_read)
                                  : k_body_read));
  while (!complete_) {
    const std::int64_t n = co_await read_body(chunk);
    if (n < 0) co_return std::nullopt;
    if (n == 0) break;
    if (out.size() + static_cast<std::uint64_t>(n) > most) {
      too_large_ = true;
      fail("the body is too large");
      co_return std::nullopt;
    }
    out.append(reinterpret_cast<const char*>(chunk.data()), static_cast<std::size_t>(n));
  }
  co_return out;
}

} // namespace hubgate::proxy
