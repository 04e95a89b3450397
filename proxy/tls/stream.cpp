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
/// Beyond this an emptied BIO gives its memory back.
constexpr std::size_t k_idle_bio = std::size_t{16} << 10;

// An empty memory BIO that has grown keeps its memory for ever; a new one does not.
void shrink(BIO* bio) {
  BUF_MEM* memory = nullptr;
  BIO_get_mem_ptr(bio, &memory);
  if (memory->length != 0 || memory->max <= k_idle_bio) return;
  BUF_MEM* fresh = BUF_MEM_new();
  if (!fresh) return;
  BIO_set_mem_buf(bio, fresh, BIO_CLOSE);
  BIO_set_mem_eof_return(bio, -1);
}
} // namespace

Stream::Stream(Loop& loop, asio::ip::tcp::socket socket, ssl_ctx_st* context)
    : loop_(loop), socket_(std::move(socket)) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (context) {
    ssl_ = SSL_new(context);
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    BIO_set_mem_eof_return(out, -1);
    SSL_set_bio(ssl_, in, out);
  }
  loop_.watch(*this);
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

Task<int> Stream::fill() {
  for (;;) {
    if (expired_ || closed_) co_return -1;
    const auto scratch = loop_.scratch();
    const ssize_t n = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), 0);
    if (n > 0) {
      BIO_write(SSL_get_rbio(ssl_), scratch.data(), static_cast<int>(n));
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
  BIO* out = SSL_get_wbio(ssl_);
  char* data = nullptr;
  const long n = BIO_get_mem_data(out, &data);
  if (n <= 0) co_return true;
  // Nobody adds to the BIO meanwhile: only the writer encrypts, and the reader's own records (key
  // updates) wait for it.
  writing_ = true;
  const bool sent =
      co_await send_all({reinterpret_cast<std::uint8_t*>(data), static_cast<std::size_t>(n)}, {});
  writing_ = false;
  (void)BIO_reset(out);
  co_return sent;
}

Task<bool> Stream::handshake() {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    const int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, result);
    const bool fatal = why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ;
    if (fatal) fail_from_ssl("TLS handshake");
    const bool sent = co_await flush();
    if (fatal || !sent) co_return false;
    if (why == SSL_ERROR_NONE) break;
    const int got = co_await fill();
    if (got == 0) fail("the peer closed the connection during the TLS handshake");
    if (got <= 0) co_return false;
  }
  relax();
  co_return true;
}

void Stream::relax() {
  if (!ssl_) return;
  shrink(SSL_get_rbio(ssl_));
  if (!writing_) shrink(SSL_get_wbio(ssl_));
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
    if (total > 0) co_return static_cast<std::int64_t>(total);
    if (why == SSL_ERROR_ZERO_RETURN) {
      ended_cleanly_ = true;
      co_return 0;
    }
    if (why != SSL_ERROR_WANT_READ) {
      fail_from_ssl("TLS");
      co_return -1;
    }
    if (!writing_ && BIO_ctrl_pending(SSL_get_wbio(ssl_)) > 0) {
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
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

bool Stream::stale() {
  if (closed_ || expired_ || !error_.empty()) return true;
  if (ssl_ && (SSL_pending(ssl_) > 0 || BIO_ctrl_pending(SSL_get_rbio(ssl_)) > 0)) return true;
  std::uint8_t byte = 0;
  const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
  if (n == 0 || !ssl_) return true;
  // A session ticket that came late is no reason to give the connection up.
  const auto scratch = loop_.scratch();
  const ssize_t got = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), 0);
  if (got <= 0) return true;
  BIO_write(SSL_get_rbio(ssl_), scratch.data(), static_cast<int>(got));
  ERR_clear_error();
  std::size_t length = 0;
  const int result = SSL_peek_ex(ssl_, &byte, 1, &length);
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
