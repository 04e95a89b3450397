#pragma once
// Stream: a TCP connection, with TLS or without, under one interface. TLS runs over a BIO of our
// own, so that a batch of records leaves with one send and memory is held only while there is
// something to hold (proxy/README.md has the measurements). One reader and one writer at a time;
// the two may be different coroutines of the stream's loop.
#include "proxy/net/loop.hpp"
#include "scanner/core/bytes.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;
struct x509_st;

namespace hubgate::proxy {

/// What lies between TLS and the socket. `fresh` borrows the loop's scratch memory until keep().
struct Wire {
  Bytes fresh;
  std::vector<std::uint8_t> kept; ///< received, not decrypted yet; comes before `fresh`
  std::size_t kept_at = 0;
  std::vector<std::uint8_t> out; ///< encrypted, to be sent

  /// Moves up to into.size() received bytes; 0 = none are there.
  std::size_t take(std::span<std::uint8_t> into);
  /// Copies what is left of `fresh`: before anybody else may use the scratch memory.
  void keep();
  std::size_t pending() const { return kept.size() - kept_at + fresh.size(); }
};

class Stream final : public Expiring {
public:
  /// Takes a connected socket. `context` null: plain TCP.
  Stream(Loop& loop, asio::ip::tcp::socket socket, ssl_ctx_st* context);
  ~Stream() override;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Goes over to TLS on a stream that began without, or to TLS inside of the TLS that it has
  /// (once); accept() or connect() must follow. `received` is what was read of the peer's TLS
  /// already.
  void secure(ssl_ctx_st* context, Bytes received = {});
  /// TLS handshake; true at once without TLS. False: see error().
  Task<bool> accept();
  /// As a client: `name` is sent (SNI) and must be what the certificate is for.
  Task<bool> connect(std::string name);

  /// At least one byte, as many as are there and fit. 0: the peer ended. -1: error().
  Task<std::int64_t> read(std::span<std::uint8_t> out);
  /// All of `first`, then all of `second`, in as few sends as possible. At most 256 KiB each are
  /// taken over before it first waits, so such spans need not outlive the call under TLS.
  Task<bool> write(Bytes first, Bytes second = {});
  /// Ends our direction: close_notify and FIN.
  Task<void> shutdown();
  /// Ends both, now. Pending operations fail.
  void close();

  /// Keeps something alive as long as this.
  void hold(std::shared_ptr<const void> what) { held_ = std::move(what); }

  /// What to do with a peer that is silent until `deadline`: pending and later operations fail.
  void set_deadline(TimePoint deadline) { deadline_ = deadline; }
  void expire(TimePoint now) override;
  bool expired() const { return expired_; }

  /// Whether the peer has closed or sent something while nobody was reading: a pooled connection
  /// of which this is true must not be used again.
  bool stale();
  /// Whether the peer has ended or reset the connection, as far as can be seen without reading.
  bool gone();
  /// The end was announced (close_notify, or FIN without TLS): a missing announcement may be an
  /// attacker's cut.
  bool ended_cleanly() const { return ended_cleanly_; }
  bool is_tls() const { return ssl_ != nullptr; }
  /// The certificate that the peer has shown; borrowed. Null: none.
  x509_st* peer_certificate() const;
  const std::string& error() const { return error_; }
  std::string peer_address() const;
  asio::ip::address peer_ip() const;

private:
  /// Gives back memory that only a busy connection needs: after a second of silence, because to
  /// free and take 32 KiB at each message costs more than the message.
  void relax();
  Task<bool> handshake();
  Task<bool> wait(bool for_reading);
  /// Gets something for TLS to decrypt. 1 got some, 0 end, -1 error.
  Task<int> fill() { return outer_ ? fill_through_outer() : receive(wire_); }
  /// Receives once into the scratch memory.
  Task<int> receive(Wire& wire);
  Task<int> fill_through_outer();
  /// What the outer layer has for the inner one now: as fill(), or nothing yet.
  std::optional<int> decrypt_outer();
  Task<bool> flush();
  /// What TLS has made, to the peer.
  Task<bool> send_wire(Bytes bytes) {
    return outer_ ? send_through_outer(bytes) : send_all(bytes, {});
  }
  Task<bool> send_through_outer(Bytes bytes);
  Task<bool> flush_outer();
  Task<bool> send_all(Bytes first, Bytes second);
  bool fail(std::string message);
  void fail_from_ssl(const char* doing);

  Loop& loop_;
  asio::ip::tcp::socket socket_;
  std::shared_ptr<const void> held_;
  struct Outer;
  std::unique_ptr<Outer> outer_; ///< around ssl_; mostly null
  ssl_st* ssl_ = nullptr;
  Wire wire_;
  std::vector<std::uint8_t> sending_; ///< what flush() sends; `wire_.out` takes more meanwhile
  bool busy_ = true;                  ///< something was sent or received since the last sweep
  bool drained_ = false;              ///< the last receive took all there was: wait before the next
  TimePoint deadline_ = TimePoint::max();
  bool expired_ = false;
  bool closed_ = false;
  bool writing_ = false;
  bool ended_cleanly_ = false;
  std::string error_;
};

} // namespace hubgate::proxy
