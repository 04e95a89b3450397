#include "proxy/tls/stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>

namespace hubgate::proxy {

namespace {
constexpr std::size_t k_batch = std::size_t{256} << 10;
/// Beyond this an emptied buffer gives its memory back.
constexpr std::size_t k_idle_buffer = std::size_t{16} << 10;
/// The plain text of a record at most.
constexpr std::size_t k_record = std::size_t{16} << 10;
/// A receive of less than this has most likely taken all there was: trying again is in vain.
constexpr std::size_t k_short_read = std::size_t{16} << 10;

// An emptied buffer that has grown keeps its memory for ever; a new one does not.
void shrink(std::vector<std::uint8_t>& buffer) {
  if (buffer.empty() && buffer.capacity() > k_idle_buffer) buffer = {};
}

int wire_read(BIO* bio, char* out, int length) {
  BIO_clear_retry_flags(bio);
  if (length <= 0) return 0;
  auto* wire = static_cast<Wire*>(BIO_get_data(bio));
  const std::size_t n =
      wire->take({reinterpret_cast<std::uint8_t*>(out), static_cast<std::size_t>(length)});
  if (n == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  return static_cast<int>(n);
}

int wire_write(BIO* bio, const char* in, int length) {
  BIO_clear_retry_flags(bio);
  if (length <= 0) return 0;
  auto& out = static_cast<Wire*>(BIO_get_data(bio))->out;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(in);
  out.insert(out.end(), bytes, bytes + length);
  return length;
}

long wire_control(BIO* bio, int command, long, void*) {
  const auto* wire = static_cast<const Wire*>(BIO_get_data(bio));
  switch (command) {
  case BIO_CTRL_FLUSH:
  case BIO_CTRL_DUP:
    return 1;
  case BIO_CTRL_PENDING:
    return static_cast<long>(wire->pending());
  case BIO_CTRL_WPENDING:
    return static_cast<long>(wire->out.size());
  default:
    return 0;
  }
}

// OpenSSL's own memory BIO copies what comes, and clears all of its memory at each reset.
const BIO_METHOD* wire_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    BIO_meth_set_read(made, wire_read);
    BIO_meth_set_write(made, wire_write);
    BIO_meth_set_ctrl(made, wire_control);
    return made;
  }();
  return method;
}
} // namespace

std::size_t Wire::take(std::span<std::uint8_t> into) {
  const Bytes from = kept.empty() ? fresh : Bytes(kept).subspan(kept_at);
  const std::size_t n = std::min(into.size(), from.size());
  std::copy_n(from.begin(), n, into.begin());
  if (kept.empty()) {
    fresh = fresh.subspan(n);
  } else if (kept_at += n; kept_at == kept.size()) {
    kept.clear();
    kept_at = 0;
  }
  return n;
}

/// TLS whose plain text is the TLS of the stream itself.
struct Stream::Outer {
  Outer(ssl_st* ssl_, Wire&& wire_) : ssl(ssl_), wire(std::move(wire_)) {
    BIO_set_data(SSL_get_rbio(ssl), &wire);
  }
  ~Outer() { SSL_free(ssl); }
  Outer(const Outer&) = delete;
  Outer& operator=(const Outer&) = delete;
  ssl_st* ssl;
  Wire wire;
};

void Wire::keep() {
  if (fresh.empty()) return;
  kept.insert(kept.end(), fresh.begin(), fresh.end());
  fresh = {};
}

Stream::Stream(Loop& loop, asio::ip::tcp::socket socket, ssl_ctx_st* context)
    : loop_(loop), socket_(std::move(socket)) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (context) secure(context);
  loop_.watch(*this);
}

void Stream::secure(ssl_ctx_st* context, Bytes received) {
  if (ssl_) {
    outer_ = std::make_unique<Outer>(ssl_, std::move(wire_));
    wire_ = {};
  }
  ssl_ = SSL_new(context);
  BIO* bio = BIO_new(wire_method());
  BIO_set_data(bio, &wire_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  wire_.kept.assign(received.begin(), received.end());
}

Stream::~Stream() {
  loop_.forget(*this);
  close();
  SSL_free(ssl_);
}

bool Stream::fail(std::string message) {
  if (error_.empty()) error_ = std::move(message);
  return false;
}

void Stream::fail_from_ssl(const char* doing) {
  const unsigned long code = ERR_peek_last_error();
  std::string text = doing;
  const long verify = SSL_get_verify_result(ssl_);
  if (verify != X509_V_OK) {
    text += ": the certificate is not accepted: ";
    text += X509_verify_cert_error_string(verify);
  } else if (code != 0) {
    const char* reason = ERR_reason_error_string(code);
    text += ": ";
    text += reason ? reason : "unknown error";
  }
  ERR_clear_error();
  fail(std::move(text));
}

void Stream::expire(TimePoint now) {
  if (!busy_) relax();
  busy_ = false;
  if (now < deadline_ || expired_) return;
  expired_ = true;
  fail("the peer was silent for too long");
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Stream::close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  socket_.close(ignored);
}

Task<bool> Stream::wait(bool for_reading) {
  if (expired_ || closed_) co_return false;
  const auto kind =
      for_reading ? asio::ip::tcp::socket::wait_read : asio::ip::tcp::socket::wait_write;
  auto [error] = co_await socket_.async_wait(kind, asio::as_tuple(asio::use_awaitable));
  if (error) fail(error.message());
  co_return !error && !expired_ && !closed_;
}

x509_st* Stream::peer_certificate() const {
  return ssl_ ? SSL_get0_peer_certificate(ssl_) : nullptr;
}

std::optional<int> Stream::decrypt_outer() {
  std::size_t total = 0;
  int why = SSL_ERROR_NONE;
  while (total < k_batch) {
    ERR_clear_error();
    const std::size_t before = wire_.kept.size();
    wire_.kept.resize(before + k_record);
    std::size_t n = 0;
    const int result = SSL_read_ex(outer_->ssl, wire_.kept.data() + before, k_record, &n);
    wire_.kept.resize(before + (result == 1 ? n : 0));
    if (result != 1) {
      why = SSL_get_error(outer_->ssl, result);
      break;
    }
    total += n;
  }
  outer_->wire.keep();
  if (total > 0) return 1;
  if (why == SSL_ERROR_ZERO_RETURN) return 0;
  if (why == SSL_ERROR_WANT_READ) return std::nullopt;
  ERR_clear_error();
  fail("TLS to the proxy broke");
  return -1;
}

Task<int> Stream::fill_through_outer() {
  for (;;) {
    const auto got = decrypt_outer();
    if (got) co_return *got;
    const int received = co_await receive(outer_->wire);
    if (received <= 0) co_return received;
  }
}

Task<bool> Stream::send_through_outer(Bytes bytes) {
  while (!bytes.empty()) {
    ERR_clear_error();
    std::size_t n = 0;
    const std::size_t wanted = std::min(bytes.size(), k_batch);
    if (SSL_write_ex(outer_->ssl, bytes.data(), wanted, &n) != 1) {
      ERR_clear_error();
      co_return fail("TLS to the proxy broke");
    }
    bytes = bytes.subspan(n);
  }
  const bool sent = co_await flush_outer();
  co_return sent;
}

Task<bool> Stream::flush_outer() {
  std::vector<std::uint8_t> out;
  out.swap(outer_->wire.out); // the reader may add to it meanwhile
  const bool sent = co_await send_all(out, {});
  co_return sent;
}

Task<int> Stream::receive(Wire& wire) {
  for (;;) {
    if (drained_) {
      drained_ = false;
      const bool ready = co_await wait(true);
      if (!ready) co_return -1;
    }
    if (expired_ || closed_) co_return -1;
    const auto scratch = loop_.scratch();
    const ssize_t n = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), 0);
    if (n > 0) {
      busy_ = true;
      wire.fresh = scratch.first(static_cast<std::size_t>(n));
      drained_ = static_cast<std::size_t>(n) < k_short_read;
      co_return 1;
    }
    if (n == 0) co_return 0;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      fail(std::strerror(errno));
      co_return -1;
    }
    const bool ready = co_await wait(true);
    if (!ready) co_return -1;
  }
}

Task<bool> Stream::send_all(Bytes first, Bytes second) {
  while (!first.empty() || !second.empty()) {
    if (expired_ || closed_) co_return false;
    iovec parts[2] = {{const_cast<std::uint8_t*>(first.data()), first.size()},
                      {const_cast<std::uint8_t*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
    if (n >= 0) {
      const auto sent = static_cast<std::size_t>(n);
      const std::size_t of_first = std::min(sent, first.size());
      first = first.subspan(of_first);
      second = second.subspan(sent - of_first);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) co_return fail(std::strerror(errno));
    const bool ready = co_await wait(false);
    if (!ready) co_return false;
  }
  co_return true;
}

Task<bool> Stream::flush() {
  if (wire_.out.empty()) co_return true;
  // What the reader has to say meanwhile (key updates, alerts) goes into the other buffer.
  writing_ = true;
  busy_ = true;
  sending_.swap(wire_.out);
  const bool sent = co_await send_wire(sending_);
  sending_.clear();
  if (wire_.out.empty()) wire_.out.swap(sending_); // one warm buffer, not two
  writing_ = false;
  co_return sent;
}

Task<bool> Stream::handshake() {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    const int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, result);
    const bool fatal = why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ;
    if (fatal) fail_from_ssl("TLS handshake");
    wire_.keep();
    const bool sent = co_await flush();
    if (fatal || !sent) co_return false;
    if (why == SSL_ERROR_NONE) co_return true;
    const int got = co_await fill();
    if (got == 0) fail("the peer closed the connection during the TLS handshake");
    if (got <= 0) co_return false;
  }
}

void Stream::relax() {
  if (!ssl_) return;
  shrink(wire_.kept);
  shrink(wire_.out);
  if (!writing_) shrink(sending_);
  SSL_free_buffers(ssl_); // does nothing while a record is on its way
  if (!outer_) return;
  shrink(outer_->wire.kept);
  shrink(outer_->wire.out);
  SSL_free_buffers(outer_->ssl);
}

Task<bool> Stream::accept() {
  if (!ssl_) co_return true;
  SSL_set_accept_state(ssl_);
  const bool ok = co_await handshake();
  co_return ok;
}

Task<bool> Stream::connect(std::string name) {
  if (!ssl_) co_return true;
  SSL_set_connect_state(ssl_);
  boost::system::error_code not_an_address;
  asio::ip::make_address(name, not_an_address);
  if (not_an_address) {
    SSL_set_tlsext_host_name(ssl_, name.c_str());
    SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl_, name.c_str());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), name.c_str());
  }
  const bool ok = co_await handshake();
  co_return ok;
}

Task<std::int64_t> Stream::read(std::span<std::uint8_t> out) {
  for (;;) {
    if (expired_ || closed_) co_return -1;
    if (!ssl_) {
      const ssize_t n = ::recv(socket_.native_handle(), out.data(), out.size(), 0);
      if (n == 0) ended_cleanly_ = true;
      if (n >= 0) co_return n;
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        fail(std::strerror(errno));
        co_return -1;
      }
      const bool ready = co_await wait(true);
      if (!ready) co_return -1;
      continue;
    }
    // One SSL_read gives one record; take all that are there.
    std::size_t total = 0;
    int why = SSL_ERROR_NONE;
    while (total < out.size()) {
      ERR_clear_error();
      std::size_t n = 0;
      const int result = SSL_read_ex(ssl_, out.data() + total, out.size() - total, &n);
      if (result != 1) {
        why = SSL_get_error(ssl_, result);
        break;
      }
      total += n;
    }
    wire_.keep();
    if (total > 0) co_return static_cast<std::int64_t>(total);
    if (why == SSL_ERROR_ZERO_RETURN) {
      ended_cleanly_ = true;
      co_return 0;
    }
    if (why != SSL_ERROR_WANT_READ) {
      fail_from_ssl("TLS");
      co_return -1;
    }
    if (!writing_ && !wire_.out.empty()) {
      const bool sent = co_await flush();
      if (!sent) co_return -1;
    }
    const int got = co_await fill();
    if (got <= 0) co_return got;
  }
}

Task<bool> Stream::write(Bytes first, Bytes second) {
  if (expired_ || closed_) co_return false;
  if (!ssl_) {
    const bool sent = co_await send_all(first, second);
    co_return sent;
  }
  while (!first.empty() || !second.empty()) {
    std::size_t batch = 0;
    while (batch < k_batch && (!first.empty() || !second.empty())) {
      Bytes& part = first.empty() ? second : first;
      ERR_clear_error();
      std::size_t n = 0;
      const std::size_t wanted = std::min(part.size(), k_batch);
      if (SSL_write_ex(ssl_, part.data(), wanted, &n) != 1) {
        fail_from_ssl("TLS");
        co_return false;
      }
      part = part.subspan(n);
      batch += n;
    }
    const bool sent = co_await flush();
    if (!sent) co_return false;
  }
  co_return true;
}

Task<void> Stream::shutdown() {
  if (closed_ || expired_) co_return;
  if (ssl_ && SSL_is_init_finished(ssl_)) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    if (!writing_) co_await flush();
  }
  if (outer_ && !writing_) {
    ERR_clear_error();
    SSL_shutdown(outer_->ssl);
    co_await flush_outer();
  }
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

bool Stream::stale() {
  if (closed_ || expired_ || !error_.empty()) return true;
  if (ssl_ && (SSL_pending(ssl_) > 0 || wire_.pending() > 0)) return true;
  std::uint8_t byte = 0;
  const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
  if (n == 0 || !ssl_) return true;
  // A session ticket that came late is no reason to give the connection up.
  const auto scratch = loop_.scratch();
  const ssize_t got = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), 0);
  if (got <= 0) return true;
  wire_.fresh = scratch.first(static_cast<std::size_t>(got));
  ERR_clear_error();
  std::size_t length = 0;
  const int result = SSL_peek_ex(ssl_, &byte, 1, &length);
  wire_.keep();
  return result == 1 || SSL_get_error(ssl_, result) != SSL_ERROR_WANT_READ;
}

bool Stream::gone() {
  if (closed_ || expired_) return true;
  std::uint8_t byte = 0;
  const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
  return n == 0;
}

asio::ip::address Stream::peer_ip() const {
  boost::system::error_code error;
  const auto endpoint = socket_.remote_endpoint(error);
  return error ? asio::ip::address{} : endpoint.address();
}

std::string Stream::peer_address() const {
  boost::system::error_code error;
  const auto endpoint = socket_.remote_endpoint(error);
  return error ? std::string{} : endpoint.address().to_string();
}

} // namespace hubgate::proxy
