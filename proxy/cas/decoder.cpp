#include "proxy/cas/decoder.hpp"

#include "proxy/xet/decode_service.hpp"
#include "scanner/core/evidence.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace hubgate::proxy {

using xet::DecodeAnswer;
using xet::DecodeQuestion;

namespace {

constexpr int k_pipe = 1 << 20;
constexpr std::size_t k_buffer = std::size_t{512} << 10;
/// A transfer may be large: what hangs is found by its silence, not by this.
constexpr double k_cpu_seconds = 7200;
constexpr std::uint64_t k_memory = std::uint64_t{64} << 20;

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    return Error{std::string("a pipe to a worker: ") + std::strerror(errno)};
  Pipe out{Fd(ends[0]), Fd(ends[1])};
  (void)fcntl(out.write.get(), F_SETPIPE_SZ, k_pipe);
  return out;
}

} // namespace

Result<std::unique_ptr<Decoder>> Decoder::start(Loop& loop, WorkerPool& pool) {
  Pipe questions = HUBGATE_TRY(make_pipe());
  Pipe answers = HUBGATE_TRY(make_pipe());
  std::unique_ptr<Decoder> out(new Decoder);
  Limits limits;
  limits.cpu_seconds = k_cpu_seconds;
  limits.memory = k_memory;
  out->job_ = HUBGATE_TRY(
      pool.submit_service(&xet::serve_decoding, questions.read.get(), answers.write.get(), limits));
  out->questions_ = std::move(questions.write);
  out->answers_ = std::move(answers.read);
  // A piece fits into the pipe, which is empty when the one before has been answered: writing never
  // waits.
  const int room = fcntl(out->questions_.get(), F_GETPIPE_SZ);
  out->piece_most_ = std::min<std::size_t>(xet::k_decode_piece_most,
                                           static_cast<std::size_t>(std::max(room, 4096)) - 1024);
  fcntl(out->questions_.get(), F_SETFL, O_NONBLOCK);
  fcntl(out->answers_.get(), F_SETFL, O_NONBLOCK);
  out->readable_ = std::make_unique<Readable>(loop, out->answers_.get());
  out->buffer_.resize(k_buffer);
  return out;
}

bool Decoder::send(std::uint32_t kind, Bytes bytes) {
  DecodeQuestion question;
  question.kind = static_cast<DecodeQuestion::Kind>(kind);
  question.length = static_cast<std::uint32_t>(bytes.size());
  const Bytes head(reinterpret_cast<const std::uint8_t*>(&question), sizeof question);
  for (Bytes left: {head, bytes}) {
    while (!left.empty()) {
      const ssize_t n = ::write(questions_.get(), left.data(), left.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        fail("the worker that decodes takes no more");
        return false;
      }
      left = left.subspan(static_cast<std::size_t>(n));
    }
  }
  return true;
}

bool Decoder::begin(xet::XorbStream::Kind kind) {
  return send(kind == xet::XorbStream::Kind::range ? DecodeQuestion::begin_range
                                                   : DecodeQuestion::begin_xorb,
              {});
}

bool Decoder::feed(Bytes piece) {
  return send(DecodeQuestion::piece, piece);
}

bool Decoder::end() {
  return send(DecodeQuestion::end, {});
}

Decoder::Got Decoder::fail(std::string why) {
  if (error_.empty()) error_ = std::move(why);
  return Got::failed;
}

// Receives until `bytes` are there behind at_.
Task<bool> Decoder::fill(std::size_t bytes) {
  while (end_ - at_ < bytes) {
    if (at_ != 0 && (at_ == end_ || buffer_.size() - at_ < bytes)) {
      std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
      end_ -= at_;
      at_ = 0;
    }
    const ssize_t n = ::read(answers_.get(), buffer_.data() + end_, buffer_.size() - end_);
    if (n > 0) {
      end_ += static_cast<std::size_t>(n);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    const bool empty = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (!empty) co_return false;
    const bool ready = co_await readable_->wait();
    if (!ready) co_return false;
  }
  co_return true;
}

Task<Decoder::Got> Decoder::next(Bytes& raw) {
  DecodeAnswer head;
  const bool begun = co_await fill(sizeof head);
  if (!begun) co_return fail("the worker that decodes is gone");
  std::memcpy(&head, buffer_.data() + at_, sizeof head);
  const std::uint32_t most =
      head.kind == DecodeAnswer::chunk ? xet::k_chunk_most : xet::k_decode_message_most;
  if (head.length > most) co_return fail("the worker that decodes gave an answer that is none");
  at_ += sizeof head;
  const bool whole = co_await fill(head.length);
  if (!whole) co_return fail("the worker that decodes is gone");
  const Bytes payload = Bytes(buffer_).subspan(at_, head.length);
  at_ += head.length;
  if (head.kind == DecodeAnswer::chunk && !payload.empty()) {
    raw = payload;
    co_return Got::chunk;
  }
  if (head.kind == DecodeAnswer::more) co_return Got::nothing;
  if (head.kind == DecodeAnswer::done) co_return Got::done;
  if (head.kind == DecodeAnswer::failed)
    co_return fail(printable(as_text(payload), xet::k_decode_message_most));
  co_return fail("the worker that decodes gave an answer that is none");
}

} // namespace hubgate::proxy
