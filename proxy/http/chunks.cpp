#include "proxy/http/chunks.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace hubgate::proxy {

namespace {
constexpr std::uint32_t k_max_digits = 15; // 60 bits: no sum of sizes wraps
constexpr std::uint32_t k_max_extension = 256;
constexpr std::uint32_t k_max_trailers = 8192;

int hex_value(std::uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_text(std::uint8_t c) {
  return (c >= 0x20 && c != 0x7f) || c == '\t';
}
} // namespace

// One byte outside of chunk data.
void ChunkDecoder::control(std::uint8_t c) {
  switch (state_) {
  case State::size_first:
  case State::size:
    if (const int digit = hex_value(c); digit >= 0) {
      left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
      state_ = ++digits_ > k_max_digits ? State::failed : State::size;
    } else if (state_ == State::size_first) {
      state_ = State::failed;
    } else if (c == '\r') {
      state_ = State::size_lf;
    } else if (c == ';') {
      state_ = State::extension;
    } else {
      state_ = State::failed;
    }
    return;
  case State::extension:
    if (c == '\r')
      state_ = State::size_lf;
    else if (!is_text(c) || extension_.size() == k_max_extension)
      state_ = State::failed;
    else
      extension_ += static_cast<char>(c);
    return;
  case State::size_lf:
    if (c != '\n') {
      state_ = State::failed;
    } else if (left_ > 0) {
      state_ = State::data;
    } else {
      extra_ = 0;
      state_ = State::trailer_start;
    }
    return;
  case State::data_cr:
    state_ = c == '\r' ? State::data_lf : State::failed;
    return;
  case State::data_lf:
    digits_ = 0;
    left_ = 0;
    extension_.clear();
    state_ = c == '\n' ? State::size_first : State::failed;
    return;
  case State::trailer_start:
    if (c == '\r')
      state_ = State::end_lf;
    else
      state_ = is_text(c) && c != ' ' && c != '\t' ? State::trailer : State::failed;
    return;
  case State::trailer:
    if (c == '\r')
      state_ = State::trailer_lf;
    else if (!is_text(c) || ++extra_ > k_max_trailers)
      state_ = State::failed;
    return;
  case State::trailer_lf:
    state_ = c == '\n' && ++extra_ <= k_max_trailers ? State::trailer_start : State::failed;
    return;
  case State::end_lf:
    state_ = c == '\n' ? State::done : State::failed;
    return;
  case State::data:
  case State::done:
  case State::failed:
    return;
  }
}

ChunkDecoder::Step ChunkDecoder::decode(Bytes in, std::span<std::uint8_t> out) {
  Step step;
  while (step.consumed < in.size() && !done() && !failed()) {
    if (state_ != State::data) {
      control(in[step.consumed++]);
      continue;
    }
    const std::size_t room = out.size() - step.produced;
    if (room == 0) break;
    const auto n = static_cast<std::size_t>(
        std::min<std::uint64_t>(left_, std::min(room, in.size() - step.consumed)));
    std::memcpy(out.data() + step.produced, in.data() + step.consumed, n);
    step.consumed += n;
    step.produced += n;
    left_ -= n;
    if (left_ == 0) state_ = State::data_cr;
  }
  return step;
}

std::string chunk_head(std::size_t size) {
  char text[24];
  const int n = std::snprintf(text, sizeof text, "%zx\r\n", size);
  return {text, static_cast<std::size_t>(n)};
}

} // namespace hubgate::proxy
