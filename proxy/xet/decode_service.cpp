#include "proxy/xet/decode_service.hpp"

#include "proxy/xet/xorb.hpp"

#include <cerrno>
#include <unistd.h>

#include <algorithm>

namespace hubgate::xet {
namespace {

constexpr std::size_t k_portion = std::size_t{256} << 10;

class DecodeService {
public:
  DecodeService(int questions, int answers) : questions_(questions), answers_(answers) {}

  void run() {
    DecodeQuestion question;
    while (read_all(reinterpret_cast<std::uint8_t*>(&question), sizeof question)) {
      if (question.length > k_decode_piece_most) return;
      piece_.resize(question.length);
      if (!read_all(piece_.data(), piece_.size())) return;
      answer(question.kind);
      flush();
    }
  }

private:
  void answer(DecodeQuestion::Kind kind) {
    switch (kind) {
    case DecodeQuestion::begin_range:
      stream_ = XorbStream(XorbStream::Kind::range, XorbStream::Hashes::elsewhere);
      failed_ = false;
      return;
    case DecodeQuestion::begin_xorb: // its footer repeats the hashes
      stream_ = XorbStream(XorbStream::Kind::xorb);
      failed_ = false;
      return;
    case DecodeQuestion::piece:
      finish(failed_ ? Result<void>{} : feed(), DecodeAnswer::more);
      return;
    case DecodeQuestion::end:
      finish(failed_ ? Result<void>{} : stream_.end(), DecodeAnswer::done);
      return;
    }
    _exit(1);
  }

  Result<void> feed() {
    return stream_.feed(piece_, [this](const Chunk&, Bytes raw) -> Result<void> {
      put(DecodeAnswer::chunk, raw);
      return {};
    });
  }

  void finish(const Result<void>& result, DecodeAnswer::Kind kind) {
    if (failed_) return;
    if (result) return put(kind, {});
    failed_ = true;
    const std::string_view why = result.error().message;
    put(DecodeAnswer::failed, as_bytes(why.substr(0, k_decode_message_most)));
  }

  void put(DecodeAnswer::Kind kind, Bytes bytes) {
    const DecodeAnswer head{kind, static_cast<std::uint32_t>(bytes.size())};
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&head);
    out_.insert(out_.end(), raw, raw + sizeof head);
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    if (out_.size() >= k_portion) flush();
  }

  void flush() {
    for (Bytes left = out_; !left.empty();) {
      const ssize_t n = write(answers_, left.data(), left.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) _exit(0); // nobody listens any more
      left = left.subspan(static_cast<std::size_t>(n));
    }
    out_.clear();
  }

  bool read_all(std::uint8_t* at, std::size_t left) const {
    while (left > 0) {
      const ssize_t n = read(questions_, at, left);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      at += n;
      left -= static_cast<std::size_t>(n);
    }
    return true;
  }

  int questions_;
  int answers_;
  XorbStream stream_{XorbStream::Kind::range};
  bool failed_ = true; ///< nothing was begun
  std::vector<std::uint8_t> piece_;
  std::vector<std::uint8_t> out_;
};

} // namespace

void serve_decoding(int questions, int answers) {
  DecodeService(questions, answers).run();
}

} // namespace hubgate::xet
