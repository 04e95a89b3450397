#pragma once
// Server: listens, speaks HTTP/1.1 with clients and sends each request down its road. The admin
// pages listen on an address of their own.
#include "proxy/forward/original.hpp"
#include "proxy/relay/gate.hpp"
#include "proxy/tls/contexts.hpp"
#include "proxy/tls/x509.hpp"

#include <set>

namespace hubgate::proxy {

class Forward;
class Signer;

class Server {
public:
  /// `tls` null: plain HTTP.
  Server(Gate& gate, TlsContext tls);
  ~Server();

  /// Binds the listening addresses; the error names the one that can't be had.
  Result<void> bind();
  /// Where clients connect, with the port that was given for port 0.
  std::string address() const;
  std::string proxy_address() const;
  std::string transparent_address() const;
  std::string admin_address() const;
  std::string icap_address() const;

  /// Before start(): stands as a forward proxy too, with certificates from `signer`. The error is
  /// about the file of users.
  Result<void> intercept(Signer& signer, std::vector<Certificate> chain);
  /// Before bind(): the socket of what the network redirects.
  void capture(CaptureSocket socket) { capture_ = std::move(socket); }

  /// Starts to accept. Everything happens on the gate's loop.
  void start();
  /// Takes no more connections and ends the idle ones; the loop stops when the last request is
  /// answered, or after `grace`.
  void drain(Duration grace);
  void replace_tls(TlsContext tls) { tls_ = std::move(tls); }
  /// Of the forward proxy's own port; null: plain HTTP.
  void replace_proxy_tls(TlsContext tls) { proxy_tls_ = std::move(tls); }

private:
  struct Listener;
  /// What is spoken on a connection first.
  enum class Kind { endpoint, proxy, captured };
  Task<void> accept_clients(asio::ip::tcp::acceptor& acceptor, Kind kind);
  Task<void> accept_admins();
  Task<void> converse(std::shared_ptr<asio::ip::tcp::socket> socket, Kind kind);
  Task<void> converse_captured(std::shared_ptr<asio::ip::tcp::socket> socket);
  /// False: the client asked nothing.
  Task<bool> talk(Connection& connection, const Guest& guest);
  Task<bool> handle_one(Connection& connection, const Guest& guest, bool& asked);
  Task<void> accept_icap();
  Task<void> converse(std::shared_ptr<asio::ip::tcp::socket> socket);
  Task<bool> handle_one(Connection& connection, const std::string& from);
  Task<void> dispatch(Visit& visit);
  Task<void> wait_for_end(Duration grace);

  Gate& gate_;
  TlsContext tls_, proxy_tls_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Forward> forward_;
  CaptureSocket capture_;
  std::set<Stream*> idle_;
};

} // namespace hubgate::proxy
