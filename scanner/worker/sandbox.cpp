#include "scanner/worker/sandbox.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>

namespace hubgate {
namespace {

bool limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  return setrlimit(resource, &both) == 0;
}

#ifndef HUBGATE_SANITIZED
// Bytes that count against RLIMIT_DATA already.
rlim_t data_in_use() {
  unsigned long total = 0, resident = 0, shared = 0, text = 0, lib = 0, data = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  const int fields =
      std::fscanf(file, "%lu %lu %lu %lu %lu %lu", &total, &resident, &shared, &text, &lib, &data);
  std::fclose(file);
  return fields == 6 ? static_cast<rlim_t>(data) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) : 0;
}
#endif

constexpr auto k_allowed = std::to_array<int>({
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(close),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
#ifdef HUBGATE_SANITIZED
    // What the sanitizers' runtime needs to work and to report.
    SCMP_SYS(sigaltstack),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(openat),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(readlink),
    SCMP_SYS(lseek),
    SCMP_SYS(prctl),
    SCMP_SYS(clone),
    SCMP_SYS(wait4),
    SCMP_SYS(ptrace),
    SCMP_SYS(getrusage),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(getdents64),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(prlimit64),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(access),
    SCMP_SYS(set_robust_list),
#endif
});

bool filter(SandboxFor purpose) {
  scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (context == nullptr) return false;
  bool ok = true;
  for (const int call: k_allowed)
    ok = ok && seccomp_rule_add(context, SCMP_ACT_ALLOW, call, 0) == 0;
  if (purpose == SandboxFor::object_reader)
    for (const int call: {SCMP_SYS(recvmsg), SCMP_SYS(pwrite64)})
      ok = ok && seccomp_rule_add(context, SCMP_ACT_ALLOW, call, 0) == 0;
#ifndef HUBGATE_SANITIZED
  // Memory, but none that can be executed.
  ok = ok && seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0)) == 0;
  ok = ok && seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0)) == 0;
#endif
  ok = ok && seccomp_load(context) == 0;
  seccomp_release(context);
  return ok;
}

} // namespace

std::string enter_sandbox(const Limits& limits, double inspector_seconds, SandboxFor purpose) {
  const auto failed = [](const char* what) {
    return std::string(what) + ": " + std::strerror(errno);
  };
  if (!limit(RLIMIT_CORE, 0)) return failed("RLIMIT_CORE");
  const rlim_t written = purpose == SandboxFor::object_reader ? limits.decoded_bytes : 0;
  if (!limit(RLIMIT_FSIZE, written)) return failed("RLIMIT_FSIZE");
  const unsigned scans = limits.listings == 0 ? 1 : 2; // see Listings
  if (!limit(RLIMIT_CPU, scans * static_cast<rlim_t>(limits.cpu_seconds + inspector_seconds) + 5))
    return failed("RLIMIT_CPU");
#ifndef HUBGATE_SANITIZED
  // RLIMIT_DATA counts what the worker allocates and not what it maps of the object.
  if (!limit(RLIMIT_DATA, data_in_use() + limits.memory)) return failed("RLIMIT_DATA");
#endif
  if (!limit(RLIMIT_NOFILE, 16)) return failed("RLIMIT_NOFILE");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("no_new_privs");
  if (!filter(purpose)) return failed("seccomp");
  return "";
}

} // namespace hubgate
