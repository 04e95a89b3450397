/* A PKCS#11 module in front of SoftHSM that does what HUBGATE_SHIM says besides, from a process's second signature
   on: the signer makes its first one before it enters its sandbox. */
#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static CK_FUNCTION_LIST own;
static CK_FUNCTION_LIST *real;

static CK_RV sign(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG size, unsigned char *out, CK_ULONG *length) {
  static pid_t process;
  static int signatures;
  if (process != getpid()) signatures = 0;
  process = getpid();
  const char *what = ++signatures > 1 ? getenv("HUBGATE_SHIM") : NULL;
  int fd = 0;
  if (what && !strcmp(what, "read")) fd = open("/etc/passwd", O_RDONLY);
  if (what && !strcmp(what, "write")) fd = open("/tmp/hubgate-shim", O_WRONLY | O_CREAT, 0600);
  if (what && !strcmp(what, "socket")) fd = socket(AF_INET, SOCK_STREAM, 0);
  if (what && !strcmp(what, "exec")) fd = execl("/bin/true", "true", (char *)NULL);
  if (fd < 0) return CKR_DEVICE_ERROR;
  if (fd > 0) close(fd);
  return real->C_Sign(session, data, size, out, length);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) {
  CK_RV (*get)(CK_FUNCTION_LIST **);
  void *library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  if (!library) return CKR_GENERAL_ERROR;
  *(void **)&get = dlsym(library, "C_GetFunctionList");
  CK_RV code = get(&real);
  if (code != CKR_OK) return code;
  own = *real;
  own.C_Sign = sign;
  *list = &own;
  return CKR_OK;
}
