#include "scanner/gitstore/inflate.hpp"

#include <algorithm>
#include <array>
#include <new>

namespace hubgate::git {
namespace {

/// Encoded bytes given to zlib at a time.
constexpr std::size_t k_piece = std::size_t{64} << 10;

} // namespace

const char* to_string(Inflater::State state) {
  switch (state) {
  case Inflater::State::more:
  case Inflater::State::done:
    return "is whole";
  case Inflater::State::malformed:
    return "can't be decompressed";
  case Inflater::State::truncated:
    return "is cut";
  case Inflater::State::too_long:
    return "is longer than it says";
  case Inflater::State::too_short:
    return "is shorter than it says";
  }
  return "can't be decompressed";
}

Inflater::Inflater() {
  if (inflateInit(&stream_) != Z_OK) throw std::bad_alloc();
}

Inflater::~Inflater() {
  inflateEnd(&stream_);
}

void Inflater::begin(Source& source, std::uint64_t begin, std::uint64_t end) {
  source_ = &source;
  position_ = begin;
  end_ = end;
  state_ = inflateReset(&stream_) == Z_OK ? State::more : State::malformed;
}

std::size_t Inflater::produce(std::span<std::uint8_t> out) {
  std::size_t made = 0;
  while (made < out.size() && state_ == State::more) {
    const std::uint64_t left = position_ < end_ ? end_ - position_ : 0;
    const Bytes in =
        source_->some(position_, static_cast<std::size_t>(std::min<std::uint64_t>(left, k_piece)));
    // zlib's interface is not const-correct; it does not write to its input.
    stream_.next_in = const_cast<Bytef*>(in.data());
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = out.data() + made;
    const auto room = static_cast<uInt>(std::min<std::size_t>(out.size() - made, 1u << 30));
    stream_.avail_out = room;
    const int code = inflate(&stream_, Z_NO_FLUSH);
    const std::size_t used = in.size() - stream_.avail_in;
    position_ += used;
    made += room - stream_.avail_out;
    if (code == Z_STREAM_END)
      state_ = State::done;
    else if (code != Z_OK && code != Z_BUF_ERROR)
      state_ = State::malformed;
    else if (used == 0 && room == stream_.avail_out)
      state_ = in.empty() ? State::truncated : State::malformed;
  }
  return made;
}

Inflater::State Inflater::whole(Source& source, std::uint64_t begin, std::uint64_t end,
                                std::span<std::uint8_t> out) {
  this->begin(source, begin, end);
  if (produce(out) < out.size() && state_ == State::done) return State::too_short;
  // zlib sees the end of a stream, and its checksum, only when it is asked for more.
  std::array<std::uint8_t, 1> beyond{};
  if (state_ == State::more && produce(beyond) != 0) return State::too_long;
  return state_;
}

} // namespace hubgate::git
