#include "proxy/tls/signer_sandbox.hpp"

#include "scanner/worker/spool.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

// Of the file system only `paths` are left, for reading. On kernels before 6.7 Landlock knows
// nothing of sockets: that is seccomp's part.
bool keep_paths(const std::vector<std::string>& paths) {
  landlock_ruleset_attr handled{};
  // Version 1: all there is to files and directories.
  handled.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  const Fd rules(static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &handled, sizeof handled.handled_access_fs, 0)));
  if (!rules) return false;
  for (const std::string& path: paths) {
    const Fd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat status{};
    if (!place || fstat(place.get(), &status) != 0) continue; // not there: nothing to read
    landlock_path_beneath_attr rule{};
    rule.parent_fd = place.get();
    rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
    if (S_ISDIR(status.st_mode)) rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    if (syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
      return false;
  }
  return syscall(SYS_landlock_restrict_self, rules.get(), 0) == 0;
}

constexpr auto k_always = std::to_array<int>(
    {SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(getrandom), SCMP_SYS(brk), SCMP_SYS(munmap),
     SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(clock_gettime),
     SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
     SCMP_SYS(exit), SCMP_SYS(exit_group)});
constexpr auto k_reading = std::to_array<int>(
    {SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat),
     SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(access),
     SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(getdents64), SCMP_SYS(fcntl),
     SCMP_SYS(flock)});
constexpr auto k_talking =
    std::to_array<int>({SCMP_SYS(connect),       SCMP_SYS(read),        SCMP_SYS(write),
                        SCMP_SYS(readv),         SCMP_SYS(writev),      SCMP_SYS(sendmsg),
                        SCMP_SYS(recvmsg),       SCMP_SYS(sendmmsg),    SCMP_SYS(shutdown),
                        SCMP_SYS(poll),          SCMP_SYS(ppoll),       SCMP_SYS(select),
                        SCMP_SYS(pselect6),      SCMP_SYS(epoll_wait),  SCMP_SYS(epoll_pwait),
                        SCMP_SYS(epoll_ctl),     SCMP_SYS(getsockopt),  SCMP_SYS(setsockopt),
                        SCMP_SYS(getsockname),   SCMP_SYS(getpeername), SCMP_SYS(close),
                        SCMP_SYS(fcntl),         SCMP_SYS(nanosleep),   SCMP_SYS(clock_nanosleep),
                        SCMP_SYS(rt_sigprocmask)});

template <std::size_t N> bool allow(scmp_filter_ctx filter, const std::array<int, N>& calls) {
  bool ok = true;
  for (const int call: calls)
    ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
  return ok;
}

bool allow_for_module(scmp_filter_ctx filter, const TokenPlace& place) {
  bool ok = true;
  if (!place.reads.empty()) {
    // Nothing that writes, and nothing that makes a file.
    constexpr scmp_datum_t k_changing = O_ACCMODE | O_CREAT | O_TRUNC;
    ok = allow(filter, k_reading) &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                          SCMP_A2(SCMP_CMP_MASKED_EQ, k_changing, O_RDONLY)) == 0;
  }
  if (!place.sockets) return ok;
  for (const int family: {AF_UNIX, AF_INET, AF_INET6})
    ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family))) == 0;
  return ok && allow(filter, k_talking);
}

} // namespace

const char* enter_signer_sandbox(const TokenPlace* place) {
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0 || setrlimit(RLIMIT_FSIZE, &none) != 0)
    return "limits can't be set";
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return "privileges can't be dropped";
  std::uint32_t otherwise = SCMP_ACT_KILL_PROCESS;
  if (place != nullptr) {
    if (!keep_paths(place->reads)) return "Landlock, which holds a PKCS#11 module, is missing";
    // Modules write to syslog and to files when something fails; that must not end them.
    otherwise = SCMP_ACT_ERRNO(EACCES);
  }
  scmp_filter_ctx filter = seccomp_init(otherwise);
  if (filter == nullptr) return "seccomp is missing";
  // A module's threads are held too.
  bool ok = place == nullptr || seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0;
  ok = ok && allow(filter, k_always);
  if (place != nullptr) ok = ok && allow_for_module(filter, *place);
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

} // namespace hubgate::proxy
