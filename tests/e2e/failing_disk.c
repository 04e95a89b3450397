/* A disk that fails under the files whose path holds $FAILING_PATH (LD_PRELOAD), while $FAILING_WHILE exists, if it is set.
   FAILING_HOW: "read", "write" and "open" answer EIO; "map" maps what is gone when it is touched (SIGBUS). In the first
   process only: the sandbox of its children would take the look at /proc for an attack. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int child;
static void in_child(void) { child = 1; }
__attribute__((constructor)) static void begin(void) { pthread_atfork(NULL, NULL, in_child); }

static int fails(int fd, const char *how) {
  if (child) return 0;
  const char *path = getenv("FAILING_PATH"), *wanted = getenv("FAILING_HOW");
  const char *while_there = getenv("FAILING_WHILE");
  char link[64], name[4096];
  if (fd < 0 || path == NULL || wanted == NULL || strcmp(wanted, how) != 0) return 0;
  if (while_there != NULL && access(while_there, F_OK) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, name, sizeof name - 1);
  if (n <= 0) return 0;
  name[n] = 0;
  return strstr(name, path) != NULL;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(how) \
  if (fails(fd, how)) { \
    errno = EIO; \
    return -1; \
  }

ssize_t read(int fd, void *to, size_t n) { FAIL("read") return REAL(read)(fd, to, n); }
ssize_t pread(int fd, void *to, size_t n, off_t at) { FAIL("read") return REAL(pread)(fd, to, n, at); }
ssize_t pread64(int fd, void *to, size_t n, off64_t at) { FAIL("read") return REAL(pread64)(fd, to, n, at); }
ssize_t write(int fd, const void *from, size_t n) { FAIL("write") return REAL(write)(fd, from, n); }
ssize_t writev(int fd, const struct iovec *from, int n) { FAIL("write") return REAL(writev)(fd, from, n); }
ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { FAIL("write") return REAL(pwrite)(fd, from, n, at); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) { FAIL("write") return REAL(pwrite64)(fd, from, n, at); }

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
  if (!fails(fd, "map")) return REAL(mmap)(at, n, protection, flags, fd, offset);
  int gone = memfd_create("gone", 0);
  void *out = REAL(mmap)(at, n, protection & ~PROT_WRITE, MAP_SHARED, gone, 0);
  close(gone);
  return out;
}
void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t offset) {
  return mmap(at, n, protection, flags, fd, offset);
}

static int opens(int folder, const char *name, int flags, mode_t mode) {
  static int (*real)(int, const char *, int, ...);
  if (real == NULL) real = dlsym(RTLD_NEXT, "openat");
  int fd = real(folder, name, flags, mode);
  if (fd < 0 || !fails(fd, "open")) return fd;
  close(fd);
  errno = EIO;
  return -1;
}
#define MODE \
  va_list rest; \
  va_start(rest, flags); \
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
  va_end(rest);
int open(const char *name, int flags, ...) { MODE return opens(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE return opens(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE return opens(folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE return opens(folder, name, flags | O_LARGEFILE, mode); }
