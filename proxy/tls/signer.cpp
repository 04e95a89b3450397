#include "proxy/tls/signer.hpp"

#include "proxy/forward/hosts.hpp"

#include <openssl/ec.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

constexpr int k_socket = 3; ///< in the signer
constexpr std::size_t k_max_message = std::size_t{16} << 10;
constexpr std::string_view k_ready = "ready";

// Answers: '+' and what was asked for, or '-' and why not.
void answer(char kind, std::string_view text) {
  const std::string message = kind + std::string(text.substr(0, k_max_message - 1));
  (void)!::send(k_socket, message.data(), message.size(), MSG_NOSIGNAL);
}

const char* enter_signer_sandbox() {
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0 || setrlimit(RLIMIT_FSIZE, &none) != 0)
    return "limits can't be set";
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return "privileges can't be dropped";
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (filter == nullptr) return "seccomp is missing";
  bool ok = true;
  for (const int call:
       {SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(getrandom), SCMP_SYS(brk), SCMP_SYS(munmap),
        SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(clock_gettime),
        SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
        SCMP_SYS(exit), SCMP_SYS(exit_group)})
    ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
#ifdef HUBGATE_SANITIZED
  for (const int call: {SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(sigaltstack), SCMP_SYS(write),
                        SCMP_SYS(sched_yield), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(close),
                        SCMP_SYS(read)}) // the sanitizers' runtime: it tries memory with a pipe
    ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
#else
  // Memory, but none that can be executed.
  ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0)) == 0;
  ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0)) == 0;
#endif
  ok = ok && seccomp_load(filter) == 0;
  seccomp_release(filter);
  return ok ? nullptr : "seccomp can't be set up";
}

bool may_sign(const std::string& host, const std::vector<std::string>& hosts) {
  const auto parsed = parse_authority(host + ":443");
  return parsed && !parsed->is_address && parsed->host == host && host_matches(host, hosts);
}

[[noreturn]] void serve(const CaFiles& files, const std::vector<std::string>& hosts,
                        const std::string& spki) {
  // The whole of one signature before the sandbox: what OpenSSL loads and seeds when it is first
  // used, it has then.
  auto issuer = Issuer::open(files);
  if (issuer) {
    if (auto tried = issuer->issue("localhost", spki); !tried) issuer = tried.error();
  }
  const char* failed = issuer ? enter_signer_sandbox() : nullptr;
  if (!issuer || failed) {
    answer('-', failed ? failed : issuer.error().message);
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

Result<std::unique_ptr<Signer>> Signer::start(const CaFiles& files,
                                              std::vector<std::string> hosts) {
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
    if (getppid() != parent || dup2(theirs.get(), k_socket) < 0) _exit(1);
    if (theirs.get() == k_socket) (void)theirs.release();
    close_range(k_socket + 1, ~0U, 0);
    out->key_.reset();
    serve(files, hosts, spki);
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
