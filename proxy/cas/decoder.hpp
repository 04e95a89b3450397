#pragma once
// Decoder: xorbs decoded in a worker of its own, for one person's transfer. Bytes go in as they
// arrive, chunks come out; whoever gets them hashes them, because the worker is believed in
// nothing.
//
//   begin(); then for each piece: feed(), next() until Got::nothing; then end(), next() once: done
#include "proxy/net/loop.hpp"
#include "proxy/xet/xorb.hpp"
#include "scanner/worker/worker.hpp"

namespace hubgate::proxy {

class Decoder {
public:
  /// The pool must have been started with xet::serve_decoding.
  static Result<std::unique_ptr<Decoder>> start(Loop& loop, WorkerPool& pool);

  /// Other chunks follow: a range of a xorb, or a whole one.
  bool begin(xet::XorbStream::Kind kind);
  /// Bytes; next() must be called until it gives nothing before the next feed(). At most
  /// piece_most() of them. False: the worker is gone.
  bool feed(Bytes piece);
  std::size_t piece_most() const { return piece_most_; }
  /// That was all.
  bool end();

  enum class Got {
    chunk,   ///< one, in `raw`
    nothing, ///< feed more
    done,    ///< after end(): nothing was left over
    failed,  ///< error() says why
  };
  /// `raw` is valid until the next call.
  Task<Got> next(Bytes& raw);
  const std::string& error() const { return error_; }

private:
  Decoder() = default;
  bool send(std::uint32_t kind, Bytes bytes);
  Task<bool> fill(std::size_t bytes);
  Got fail(std::string why);

  WorkerJob job_;
  Fd questions_;
  Fd answers_;
  std::unique_ptr<Readable> readable_;
  std::size_t piece_most_ = 0;
  std::vector<std::uint8_t> buffer_;
  std::size_t at_ = 0;  ///< of what was not taken yet
  std::size_t end_ = 0; ///< of what was received
  std::string error_;
};

} // namespace hubgate::proxy
