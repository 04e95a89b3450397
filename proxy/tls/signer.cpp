#include "proxy/tls/signer.hpp"

#include "proxy/forward/hosts.hpp"
#include "proxy/tls/issuer.hpp"
#include "proxy/tls/signer_sandbox.hpp"

#include <openssl/crypto.h>
#include <openssl/ec.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

constexpr int k_socket = 3; ///< in the signer
constexpr int k_pin = 4;    ///< there, for as long as it takes to read it
constexpr int k_high = 64;
constexpr std::size_t k_max_pin = 256;
constexpr std::size_t k_max_message = std::size_t{16} << 10;
constexpr std::string_view k_ready = "ready";

// Answers: '+' and what was asked for, or '-' and why not.
void answer(char kind, std::string_view text) {
  const std::string message = kind + std::string(text.substr(0, k_max_message - 1));
  (void)!::send(k_socket, message.data(), message.size(), MSG_NOSIGNAL);
}

std::string read_pipe(int fd) {
  std::string out(k_max_pin, '\0');
  const ssize_t n = fd < 0 ? 0 : ::read(fd, out.data(), out.size());
  out.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return out;
}

bool may_sign(const std::string& host, const std::vector<std::string>& hosts) {
  const auto parsed = parse_authority(host + ":443");
  return parsed && !parsed->is_address && parsed->host == host && host_matches(host, hosts);
}

Result<Issuer> become_signer(const CaFiles& files, const std::string& spki, Fd pin) {
  const auto place = HUBGATE_TRY(read_token_place(files));
  Issuer issuer = HUBGATE_TRY(Issuer::open(files, read_pipe(pin.get())));
  // The whole of one signature before the sandbox: what OpenSSL loads and seeds when it is first
  // used, it has then.
  if (auto tried = issuer.issue("localhost", spki); !tried) return tried.error();
  if (const char* failed = enter_signer_sandbox(place ? &*place : nullptr))
    return Error{std::string("the signer's sandbox: ") + failed};
  // And once behind it: what a module lacks shows now, not to the first client.
  if (auto tried = issuer.issue("localhost", spki); !tried)
    return Error{tried.error().message +
                 " (in the signer's sandbox; before, it did: see \"reads\" and \"sockets\" in " +
                 files.token().string() + ")"};
  return issuer;
}

[[noreturn]] void serve(const CaFiles& files, const std::vector<std::string>& hosts,
                        const std::string& spki, Fd pin) {
  const auto issuer = become_signer(files, spki, std::move(pin));
  if (!issuer) {
    answer('-', issuer.error().message);
    _exit(1);
  }
  answer('+', k_ready);
  std::array<char, k_max_message> message{};
  for (;;) {
    const ssize_t n = ::recv(k_socket, message.data(), message.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(0); // the gate has ended
    const std::string host(message.data(), static_cast<std::size_t>(n));
    if (!may_sign(host, hosts)) {
      answer('-', "this host is not intercepted");
      continue;
    }
    const auto der = issuer->issue(host, spki);
    if (der)
      answer('+', *der);
    else
      answer('-', der.error().message);
  }
}

Result<std::string> receive(int socket) {
  std::string message(k_max_message, '\0');
  ssize_t n = -1;
  do
    n = ::recv(socket, message.data(), message.size(), 0);
  while (n < 0 && errno == EINTR);
  if (n <= 0) return Error{"the signer has ended"};
  message.resize(static_cast<std::size_t>(n));
  if (message[0] != '+') return Error{message.substr(1)};
  return message.substr(1);
}

} // namespace

Fd Signer::hide_pin() {
  std::string pin = take_pin_from_environment();
  std::array<int, 2> ends{};
  if (pin.empty() || pin.size() > k_max_pin || pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  Fd out(ends[0]);
  const Fd into(ends[1]);
  const bool written =
      ::write(into.get(), pin.data(), pin.size()) == static_cast<ssize_t>(pin.size());
  OPENSSL_cleanse(pin.data(), pin.size());
  return written ? std::move(out) : Fd();
}

Result<std::unique_ptr<Signer>> Signer::start(const CaFiles& files, std::vector<std::string> hosts,
                                              Fd pin) {
  std::unique_ptr<Signer> out(new Signer);
  out->key_.reset(EVP_EC_gen("P-256"));
  if (!out->key_) return Error{"no key could be made: " + openssl_error()};
  unsigned char* der = nullptr;
  const int length = i2d_PUBKEY(out->key_.get(), &der);
  if (length <= 0) return Error{"no key could be made: " + openssl_error()};
  const std::string spki(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return Error{std::string("no socket for the signer: ") + std::strerror(errno)};
  out->socket_ = Fd(pair[0]);
  Fd theirs(pair[1]);
  const pid_t parent = getpid();
  out->pid_ = fork();
  if (out->pid_ < 0)
    return Error{std::string("no process for the signer: ") + std::strerror(errno)};
  if (out->pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "hubgate-signer");
    // A terminal's ^C is for the gate, which then ends us.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    // First out of the way of the numbers that they shall get.
    const int talk = fcntl(theirs.release(), F_DUPFD, k_high);
    const int secret = pin ? fcntl(pin.release(), F_DUPFD, k_high) : -1;
    if (getppid() != parent || dup2(talk, k_socket) < 0) _exit(1);
    if (secret >= 0 && dup2(secret, k_pin) < 0) _exit(1);
    close_range(secret >= 0 ? k_pin + 1 : k_socket + 1, ~0U, 0);
    if (secret >= 0) pin = Fd(k_pin);
    out->key_.reset();
    serve(files, hosts, spki, std::move(pin));
  }
  theirs.reset();
  auto ready = receive(out->socket_.get());
  if (!ready) return ready.error();
  return out;
}

Signer::~Signer() {
  socket_.reset();
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

Result<Certificate> Signer::sign(const std::string& host) {
  if (host.empty()) return Error{"a host without a name"}; // an empty message would end the signer
  std::string der;
  {
    const std::lock_guard lock(mutex_);
    if (::send(socket_.get(), host.data(), host.size(), MSG_NOSIGNAL) < 0)
      return Error{"the signer has ended"};
    der = HUBGATE_TRY(receive(socket_.get()));
  }
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  Certificate out(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!out) return Error{"the signer's answer is no certificate"};
  return out;
}

} // namespace hubgate::proxy
