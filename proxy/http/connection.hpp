#pragma once
// Connection: HTTP/1.1 messages over a Stream, for either side. Reads heads (bounded, checked) and
// bodies by their framing; writes heads and bodies that somebody else has framed.
#include "proxy/http/chunks.hpp"
#include "proxy/http/head.hpp"
#include "proxy/tls/stream.hpp"

namespace hubgate::proxy {

/// Where the bytes of an object come from: an answer of the upstream, or the request of a client.
class BodySource {
public:
  virtual ~BodySource() = default;
  /// As Connection::read_body(), under the stall limit.
  virtual Task<std::int64_t> read(std::span<std::uint8_t> out) = 0;
  virtual std::string error() const = 0;
  /// Bytes, as announced; nothing when they are not.
  virtual std::optional<std::uint64_t> length() const = 0;
};

class Connection {
public:
  /// `received`: what was read of the stream already.
  explicit Connection(std::unique_ptr<Stream> stream, std::vector<std::uint8_t> received = {})
      : stream_(std::move(stream)), buffer_(std::move(received)) {}

  enum class Got { head, nothing, too_large, failed };
  /// Reads up to the empty line into `head`. `nothing`: the peer ended, or failed, before its first
  /// byte. `too_large`: more than k_max_head.
  Task<Got> read_head(std::string& head);

  /// What the body that follows looks like; read_body() obeys.
  void expect_body(Framing framing, std::uint64_t length);
  /// 0: the body is complete. -1: it broke off or is malformed; error() says how.
  Task<std::int64_t> read_body(std::span<std::uint8_t> out);
  /// The whole body, or nothing when it is longer than `most` or breaks; error() says which.
  Task<std::optional<std::string>> read_all(std::uint64_t most);
  /// Why read_all() gave nothing: the body was longer than allowed, and not broken.
  bool body_too_large() const { return too_large_; }
  bool body_complete() const { return complete_; }
  /// The extension of the newest chunk: ICAP says there that a body ends with its preview.
  const std::string& chunk_extension() const { return chunks_.extension(); }

  Stream& stream() { return *stream_; }
  /// The stream, for another protocol; nothing else may be called afterwards.
  std::unique_ptr<Stream> release() { return std::move(stream_); }
  std::string error() const { return error_.empty() ? stream_->error() : error_; }
  /// What came behind the last message and belongs to another protocol.
  std::vector<std::uint8_t> take_rest();
  /// Bytes of the next message came already.
  bool has_more() const { return begin_ < buffer_.size(); }
  void relax();

private:
  Task<std::int64_t> read_raw(std::span<std::uint8_t> out);
  std::int64_t fail(std::string message);

  std::unique_ptr<Stream> stream_;
  std::vector<std::uint8_t> buffer_; ///< received, not yet used: [begin_, size)
  std::size_t begin_ = 0;
  Framing framing_ = Framing::none;
  std::uint64_t left_ = 0;
  bool complete_ = true;
  bool too_large_ = false;
  ChunkDecoder chunks_;
  std::string error_;
};

} // namespace hubgate::proxy
