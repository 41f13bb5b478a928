/* Gives a peer what it forgot: TCP_NODELAY on every connection that it opens. To be preloaded.
 *
 * Without it, a second small packet waits for the acknowledgement of the first, which the other side delays by 40 ms.
 * With it one sees what the peer's own code costs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

int connect(int socket, const struct sockaddr *address, socklen_t length)
{
  static int (*real_connect)(int, const struct sockaddr *, socklen_t);
  if (real_connect == NULL) {
    real_connect = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
    if (real_connect == NULL) {
      errno = ENOSYS;
      return -1;
    }
  }
  if (address->sa_family == AF_INET || address->sa_family == AF_INET6) {
    int one = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  return real_connect(socket, address, length);
}
