// Raw Snappy and LZ4 blocks, from any byte to any byte. See blocks.hpp.
#include "scanner/codecs/blocks.hpp"

#include "scanner/codecs/decoder.hpp"
#include "scanner/core/reader.hpp"

#include <algorithm>
#include <cstring>

namespace hubgate {
namespace {

constexpr std::size_t k_window = std::size_t{64} << 10; ///< how far back a copy may reach
constexpr std::size_t k_chunk = std::size_t{192} << 10; ///< made at once

// What both formats are: runs of literal bytes and copies of what was made before.
class LzDecoder : public Decoder {
public:
  LzDecoder(Source& source, std::uint64_t begin, std::uint64_t end) : input_(source, begin, end) {}

  void restart() final {
    input_.rewind();
    buffer_.clear();
    given_ = 0;
    made_ = 0;
    literal_ = copy_ = 0;
    block_begin_ = 0;
    ended_ = false;
    state_ = State::more;
    start();
  }

  std::size_t produce(std::span<std::uint8_t> out) final {
    std::size_t done = 0;
    while (done < out.size()) {
      if (given_ == buffer_.size()) {
        if (state_ != State::more || ended_) break;
        refill();
        continue;
      }
      const std::size_t n = std::min(out.size() - done, buffer_.size() - given_);
      std::memcpy(out.data() + done, buffer_.data() + given_, n);
      given_ += n;
      done += n;
    }
    if (done < out.size() && ended_ && state_ == State::more) state_ = ended_as_;
    return done;
  }

  State state() const final { return state_; }

protected:
  enum class Next { go_on, end, malformed, truncated, unsupported };
  virtual void start() {}
  /// Reads one element: calls literal() or copy().
  virtual Next element() = 0;

  void literal(std::uint64_t length) { literal_ = length; }
  void copy(std::uint64_t length, std::uint64_t distance) {
    copy_ = length;
    distance_ = distance;
  }
  std::uint64_t made() const { return made_; }
  /// A new block begins: copies don't reach behind it.
  void new_block() { block_begin_ = made_; }
  std::uint64_t made_in_block() const { return made_ - block_begin_; }
  std::optional<std::uint8_t> byte() {
    const Bytes bytes = input_.peek(1);
    if (bytes.empty()) return std::nullopt;
    const std::uint8_t value = bytes[0];
    input_.consume(1);
    return value;
  }
  CodecInput& input() { return input_; }

private:
  void refill();
  void stop(State as) {
    ended_ = true;
    ended_as_ = as;
  }
  void put_literal();
  void put_copy();

  CodecInput input_;
  std::vector<std::uint8_t> buffer_; ///< the window, and behind it what was not given yet
  std::size_t given_ = 0;
  std::uint64_t made_ = 0;
  std::uint64_t block_begin_ = 0;
  std::uint64_t literal_ = 0; ///< bytes of the current element that are to be made yet
  std::uint64_t copy_ = 0;
  std::uint64_t distance_ = 0;
  State state_ = State::more;
  bool ended_ = false;
  State ended_as_ = State::end;
};

void LzDecoder::put_literal() {
  const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(literal_, k_chunk));
  const Bytes bytes = input_.some(want);
  if (bytes.empty()) {
    stop(State::truncated);
    return;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  made_ += bytes.size();
  literal_ -= bytes.size();
  input_.consume(bytes.size());
}

void LzDecoder::put_copy() {
  if (distance_ == 0 || distance_ > made_in_block()) {
    stop(State::malformed);
    return;
  }
  if (distance_ > buffer_.size()) {
    stop(State::unsupported);
    return;
  }
  const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(copy_, k_chunk));
  const std::size_t from = buffer_.size() - static_cast<std::size_t>(distance_);
  const std::size_t to = buffer_.size();
  buffer_.resize(to + n);
  std::uint8_t* const bytes = buffer_.data();
  if (distance_ >= n) {
    std::memcpy(bytes + to, bytes + from, n);
  } else {
    for (std::size_t i = 0; i < n; ++i)
      bytes[to + i] = bytes[from + i];
  }
  made_ += n;
  copy_ -= n;
}

void LzDecoder::refill() {
  if (buffer_.size() > k_window) {
    buffer_.erase(buffer_.begin(), buffer_.end() - static_cast<std::ptrdiff_t>(k_window));
    given_ = buffer_.size();
  }
  const std::size_t enough = buffer_.size() + k_chunk;
  while (!ended_ && buffer_.size() < enough) {
    if (literal_ > 0) {
      put_literal();
    } else if (copy_ > 0) {
      put_copy();
    } else {
      switch (element()) {
      case Next::go_on:
        break;
      case Next::end:
        stop(State::end);
        break;
      case Next::malformed:
        stop(State::malformed);
        break;
      case Next::truncated:
        stop(State::truncated);
        break;
      case Next::unsupported:
        stop(State::unsupported);
        break;
      }
    }
  }
}

class SnappyDecoder final : public LzDecoder {
public:
  SnappyDecoder(Source& source, std::uint64_t begin, std::uint64_t end)
      : LzDecoder(source, begin, end) {}

protected:
  void start() override { length_.reset(); }

  Next element() override {
    if (!length_) return preamble();
    if (made() >= *length_) {
      if (made() > *length_) return Next::malformed;
      return input().peek(1).empty() ? Next::end : Next::malformed;
    }
    const auto tag = byte();
    if (!tag) return Next::truncated;
    const unsigned kind = *tag & 3;
    const std::size_t more = kind == 0   ? ((*tag >> 2) >= 60 ? (*tag >> 2) - 59u : 0u)
                             : kind == 1 ? 1u
                             : kind == 2 ? 2u
                                         : 4u;
    const Bytes bytes = input().peek(more);
    if (bytes.size() < more) return Next::truncated;
    std::uint64_t value = 0;
    for (std::size_t i = more; i > 0; --i)
      value = (value << 8) | bytes[i - 1];
    input().consume(more);
    if (kind == 0)
      literal((more == 0 ? *tag >> 2 : value) + 1);
    else if (kind == 1)
      copy(4 + ((*tag >> 2) & 7), (std::uint64_t{*tag} >> 5 << 8) | value);
    else
      copy((*tag >> 2) + 1u, value);
    return Next::go_on;
  }

private:
  Next preamble() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
      const auto next = byte();
      if (!next) return Next::truncated;
      value |= std::uint64_t{*next & 0x7fU} << shift;
      if ((*next & 0x80) == 0) {
        if (value > 0xffffffff) return Next::malformed;
        length_ = value;
        return Next::go_on;
      }
    }
    return Next::malformed;
  }

  std::optional<std::uint64_t> length_;
};

class Lz4Block final : public LzDecoder {
public:
  Lz4Block(Source& source, std::uint64_t begin, std::uint64_t end, bool hadoop)
      : LzDecoder(source, begin, end), hadoop_(hadoop), end_(end) {
    block_end_ = hadoop ? begin : end;
  }

protected:
  void start() override {
    block_end_ = hadoop_ ? input().begin() : end_;
    match_ = false;
    unpacked_end_ = made();
    new_block();
  }

  Next element() override {
    if (match_) return match();
    if (hadoop_ && input().position() >= block_end_) return frame();
    const auto token = byte();
    if (!token) return !hadoop_ ? Next::end : Next::truncated;
    std::uint64_t length = *token >> 4;
    if (length == 15 && !longer(length)) return Next::truncated;
    literal(length);
    match_ = true;
    match_length_ = *token & 15;
    return Next::go_on;
  }

private:
  // The last sequence of a block is literals only.
  Next match() {
    match_ = false;
    if (hadoop_ ? input().position() >= block_end_ : input().peek(1).empty())
      return hadoop_ ? Next::go_on : Next::end;
    const Bytes bytes = input().peek(2);
    if (bytes.size() < 2) return Next::truncated;
    const std::uint64_t distance = Reader(bytes).le<std::uint16_t>().value_or(0);
    input().consume(2);
    std::uint64_t length = match_length_;
    if (length == 15 && !longer(length)) return Next::truncated;
    copy(length + 4, distance);
    return Next::go_on;
  }

  bool longer(std::uint64_t& length) {
    for (;;) {
      const auto more = byte();
      if (!more) return false;
      length += *more;
      if (*more != 255) return true;
    }
  }

  // A frame holds blocks until its unpacked length is reached.
  Next frame() {
    if (made() >= unpacked_end_) {
      if (input().peek(1).empty()) return Next::end;
      Reader head(input().peek(4));
      const auto unpacked = head.be<std::uint32_t>();
      if (!unpacked) return Next::truncated;
      unpacked_end_ = made() + *unpacked;
      input().consume(4);
      if (*unpacked == 0) return Next::go_on;
    }
    Reader head(input().peek(4));
    const auto packed = head.be<std::uint32_t>();
    if (!packed) return Next::truncated;
    input().consume(4);
    if (*packed == 0 || *packed > end_ - input().position()) return Next::malformed;
    block_end_ = input().position() + *packed;
    new_block();
    return Next::go_on;
  }

  bool hadoop_;
  std::uint64_t end_;
  std::uint64_t block_end_;
  std::uint64_t unpacked_end_ = 0;
  bool match_ = false;
  std::uint64_t match_length_ = 0;
};

class Stored final : public Decoder {
public:
  Stored(Source& source, std::uint64_t begin, std::uint64_t end) : input_(source, begin, end) {}
  void restart() override {
    input_.rewind();
    state_ = State::more;
  }
  std::size_t produce(std::span<std::uint8_t> out) override {
    const Bytes bytes = input_.some(out.size());
    std::copy(bytes.begin(), bytes.end(), out.begin());
    input_.consume(bytes.size());
    if (bytes.empty()) state_ = State::end;
    return bytes.size();
  }
  State state() const override { return state_; }

private:
  CodecInput input_;
  State state_ = State::more;
};

} // namespace

std::unique_ptr<Decoder> decode_snappy_block(Source& source, std::uint64_t begin,
                                             std::uint64_t end) {
  auto decoder = std::make_unique<SnappyDecoder>(source, begin, end);
  decoder->restart();
  return decoder;
}

std::unique_ptr<Decoder> decode_lz4_block(Source& source, std::uint64_t begin, std::uint64_t end) {
  auto decoder = std::make_unique<Lz4Block>(source, begin, end, false);
  decoder->restart();
  return decoder;
}

std::unique_ptr<Decoder> decode_lz4_hadoop(Source& source, std::uint64_t begin, std::uint64_t end) {
  auto decoder = std::make_unique<Lz4Block>(source, begin, end, true);
  decoder->restart();
  return decoder;
}

std::unique_ptr<Decoder> decode_stored(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<Stored>(source, begin, end);
}

} // namespace hubgate
