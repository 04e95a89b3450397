#pragma once
// Stream: a TCP connection, with TLS or without, under one interface. TLS runs over memory BIOs, so
// that a batch of records leaves with one send and memory is held only while there is something to
// hold (proxy/README.md has the measurements). One reader and one writer at a time; the two may be
// different coroutines of the stream's loop.
#include "proxy/net/loop.hpp"
#include "scanner/core/bytes.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;

namespace hubgate::proxy {

class Stream final : public Expiring {
public:
  /// Takes a connected socket. `context` null: plain TCP.
  Stream(Loop& loop, asio::ip::tcp::socket socket, ssl_ctx_st* context);
  ~Stream() override;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

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
  /// Gives back memory that only a busy connection needs.
  void relax();
  /// Ends both, now. Pending operations fail.
  void close();

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
  const std::string& error() const { return error_; }
  std::string peer_address() const;
  asio::ip::address peer_ip() const;

private:
  Task<bool> handshake();
  Task<bool> wait(bool for_reading);
  /// Receives once into the scratch memory and hands it to TLS. 1 got some, 0 end, -1 error.
  Task<int> fill();
  Task<bool> flush();
  Task<bool> send_all(Bytes first, Bytes second);
  bool fail(std::string message);
  void fail_from_ssl(const char* doing);

  Loop& loop_;
  asio::ip::tcp::socket socket_;
  ssl_st* ssl_ = nullptr;
  TimePoint deadline_ = TimePoint::max();
  bool expired_ = false;
  bool closed_ = false;
  bool writing_ = false;
  bool ended_cleanly_ = false;
  std::string error_;
};

} // namespace hubgate::proxy
