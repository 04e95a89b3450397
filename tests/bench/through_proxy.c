// Preloaded into a program that knows no proxies (wrk): its connections to port THROUGH_TARGET of
// any host go to 127.0.0.1:THROUGH_PROXY instead, and are opened there with CONNECT localhost.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int (*connect_call)(int, const struct sockaddr*, socklen_t);

static int port_in(const char* name) {
  const char* text = getenv(name);
  return text ? atoi(text) : 0;
}

static int opened(int fd, int target) {
  char text[256];
  const int length = snprintf(text, sizeof text, "CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", target, target);
  if (write(fd, text, (size_t)length) != length) return -1;
  size_t got = 0;
  while (got < sizeof text - 1 && read(fd, text + got, 1) == 1) { // not a byte of what follows
    text[++got] = 0;
    if (got >= 4 && memcmp(text + got - 4, "\r\n\r\n", 4) == 0) return strstr(text, " 200 ") ? 0 : -1;
  }
  return -1;
}

int connect(int fd, const struct sockaddr* where, socklen_t length) {
  const connect_call real = (connect_call)dlsym(RTLD_NEXT, "connect");
  const int target = port_in("THROUGH_TARGET");
  if (where->sa_family != AF_INET || ntohs(((const struct sockaddr_in*)where)->sin_port) != target)
    return real(fd, where, length);
  struct sockaddr_in proxy = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port_in("THROUGH_PROXY"))};
  proxy.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  const int done = real(fd, (const struct sockaddr*)&proxy, sizeof proxy) == 0 ? opened(fd, target) : -1;
  fcntl(fd, F_SETFL, flags);
  if (done != 0) errno = ECONNREFUSED;
  return done;
}
