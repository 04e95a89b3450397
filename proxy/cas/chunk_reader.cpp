#include "proxy/cas/chunk_reader.hpp"

#include <algorithm>
#include <cstring>

namespace hubgate::proxy {

namespace {
/// Room for the longest chunk and some more. The kernel's side of a socket gives about as much.
constexpr std::size_t k_buffer = std::size_t{640} << 10;
constexpr std::size_t k_header = xet::ChunkHeader::k_size;
static_assert(k_buffer >= 2 * (k_header + xet::k_stored_most));
} // namespace

ChunkReader::ChunkReader(Loop& loop, WorkerPool& pool)
    : loop_(loop), pool_(pool), buffer_(k_buffer) {}

ChunkReader::Got ChunkReader::fail(Got how, std::string why) {
  if (error_.empty()) error_ = std::move(why);
  return how;
}

Task<bool> ChunkReader::begin(BodySource& source) {
  Bytes ignored;
  while (decoding_) {
    const Decoder::Got got = co_await decoder_->next(ignored);
    if (got == Decoder::Got::nothing) decoding_ = false;
    if (got == Decoder::Got::failed || got == Decoder::Got::done) {
      decoder_.reset(); // another one, when it is needed
      decoding_ = false;
    }
  }
  source_ = &source;
  source_failed_ = false;
  at_ = 0;
  end_ = 0;
  run_end_ = 0;
  error_.clear();
  co_return decoder_ == nullptr || decoder_->begin(xet::XorbStream::Kind::range);
}

// Receives until `bytes` are there behind at_. False: the end, or the source failed.
Task<bool> ChunkReader::fill(std::size_t bytes) {
  while (end_ - at_ < bytes) {
    if (at_ == end_ || buffer_.size() - at_ < bytes) {
      std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
      end_ -= at_;
      at_ = 0;
    }
    const std::int64_t n = co_await source_->read(std::span(buffer_).subspan(end_));
    source_failed_ = n < 0;
    if (n <= 0) co_return false;
    end_ += static_cast<std::size_t>(n);
  }
  co_return true;
}

// The next bytes of the run, as many as the worker takes.
bool ChunkReader::feed_run() {
  const std::size_t n = std::min(decoder_->piece_most(), run_end_ - at_);
  decoding_ = decoder_->feed(Bytes(buffer_).subspan(at_, n));
  at_ += n;
  return decoding_;
}

// The compressed chunk of `first` bytes at at_ goes to the worker, and so do those behind it that
// are here.
bool ChunkReader::start_run(std::size_t first) {
  if (!decoder_) {
    auto decoder = Decoder::start(loop_, pool_);
    if (!decoder) {
      fail(Got::failed, "no worker for a xorb: " + decoder.error().message);
      return false;
    }
    decoder_ = std::move(*decoder);
    if (!decoder_->begin(xet::XorbStream::Kind::range)) return false;
  }
  run_end_ = at_ + first;
  while (end_ - run_end_ >= k_header) {
    const auto header = xet::read_chunk_header(Bytes(buffer_).subspan(run_end_, k_header));
    if (!header || header->scheme == xet::Scheme::stored) break;
    const std::size_t length = k_header + header->stored;
    if (length > end_ - run_end_) break;
    run_end_ += length;
  }
  return feed_run();
}

Task<ChunkReader::Got> ChunkReader::next(Bytes& raw) {
  for (;;) {
    if (decoding_) {
      const Decoder::Got got = co_await decoder_->next(raw);
      if (got == Decoder::Got::chunk) co_return Got::chunk;
      decoding_ = false;
      const bool fed = got == Decoder::Got::nothing && (at_ >= run_end_ || feed_run());
      if (!fed) co_return fail(Got::failed, "a xorb can't be read: " + decoder_->error());
      if (decoding_) continue;
    }
    const bool begun = co_await fill(k_header);
    if (!begun) {
      if (source_failed_) co_return fail(Got::broken, source_->error());
      if (at_ == end_) co_return Got::end;
      co_return fail(Got::failed, "a xorb can't be read: it ends inside a chunk's header");
    }
    const auto header = xet::read_chunk_header(Bytes(buffer_).subspan(at_, k_header));
    if (!header) co_return fail(Got::failed, "a xorb can't be read: " + header.error().message);
    const std::size_t length = k_header + header->stored;
    const bool whole = co_await fill(length);
    if (!whole) {
      if (source_failed_) co_return fail(Got::broken, source_->error());
      co_return fail(Got::failed, "a xorb can't be read: it ends inside a chunk");
    }
    if (header->scheme == xet::Scheme::stored) {
      raw = Bytes(buffer_).subspan(at_ + k_header, header->stored);
      at_ += length;
      co_return Got::chunk;
    }
    if (!start_run(length)) co_return fail(Got::failed, decoder_ ? decoder_->error() : "");
  }
}

} // namespace hubgate::proxy
