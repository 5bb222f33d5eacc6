/*
 * A switch between network namespaces that holds each packet for a fixed time, for
 * kernels that have no netem. One TUN device, "far0", in each namespace; IPv4 packets
 * go to the namespace whose address they are for, in the order in which they came.
 *
 *     delay_switch MICROSECONDS NAMESPACE=ADDRESS ...
 *
 * Writes "ready" once all devices are there. TCP comes in segments of up to 64 KiB
 * (virtio header, TSO), so that the switch costs little beside what it connects. What
 * finds no room in its queue is dropped and counted, and the count written at the end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PORTS = 64, QUEUE = 1 << 16, MAX_PACKET = 66000, BURST = 64 };

struct held {
  int64_t due;
  int port;
  int length;
  unsigned char *bytes;
};

static struct held queue[QUEUE];
static unsigned first, behind;
static struct pollfd ports[MAX_PORTS];
static in_addr_t addresses[MAX_PORTS];
static int count;
static unsigned long dropped;
static volatile sig_atomic_t ending;

static void on_end(int signal) {
  (void)signal;
  ending = 1;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int open_port(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  int space = open(path, O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET) < 0) fail(path);
  close(space);
  int port = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (port < 0) fail("/dev/net/tun");
  struct ifreq wanted = {0};
  strcpy(wanted.ifr_name, "far0");
  wanted.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  int header = sizeof(struct virtio_net_hdr);
  if (ioctl(port, TUNSETIFF, &wanted) < 0) fail("TUNSETIFF");
  if (ioctl(port, TUNSETVNETHDRSZ, &header) < 0) fail("TUNSETVNETHDRSZ");
  if (ioctl(port, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) < 0) fail("TUNSETOFFLOAD");
  return port;
}

static void deliver(int64_t until) {
  for (; first != behind && queue[first % QUEUE].due <= until; first++) {
    struct held *packet = &queue[first % QUEUE];
    if (write(ports[packet->port].fd, packet->bytes, packet->length) < 0) dropped++;
    free(packet->bytes);
  }
}

static int port_for(const unsigned char *packet) {
  in_addr_t to;
  memcpy(&to, packet + 16, sizeof to);
  for (int port = 0; port < count; port++) {
    if (addresses[port] == to) return port;
  }
  return -1;
}

static void take(int from, int64_t hold_ns) {
  static unsigned char buffer[MAX_PACKET];
  const int header = sizeof(struct virtio_net_hdr);
  for (int n = 0; n < BURST; n++) {
    int length = read(ports[from].fd, buffer, sizeof buffer);
    if (length < header + 20) return;
    if (buffer[header] >> 4 != 4) continue;
    int to = port_for(buffer + header);
    if (to < 0) continue;
    if (behind - first == QUEUE) {
      dropped++;
      continue;
    }
    unsigned char *bytes = malloc(length);
    if (bytes == NULL) fail("malloc");
    memcpy(bytes, buffer, length);
    queue[behind++ % QUEUE] = (struct held){now_ns() + hold_ns, to, length, bytes};
  }
}

int main(int argc, char **argv) {
  if (argc < 3 || argc - 2 > MAX_PORTS) {
    fprintf(stderr, "delay_switch MICROSECONDS NAMESPACE=ADDRESS ...\n");
    return 2;
  }
  int64_t hold_ns = atoll(argv[1]) * 1000;
  for (; count < argc - 2; count++) {
    char *address = strchr(argv[count + 2], '=');
    if (address == NULL) fail("NAMESPACE=ADDRESS");
    *address++ = 0;
    addresses[count] = inet_addr(address);
    ports[count] = (struct pollfd){open_port(argv[count + 2]), POLLIN, 0};
  }
  signal(SIGTERM, on_end);
  prctl(PR_SET_TIMERSLACK, 1000UL);
  printf("ready\n");
  fflush(stdout);
  while (!ending) {
    struct timespec wait, *limit = NULL;
    if (first != behind) {
      int64_t left = queue[first % QUEUE].due - now_ns();
      if (left < 0) left = 0;
      wait = (struct timespec){left / 1000000000, left % 1000000000};
      limit = &wait;
    }
    int ready = ppoll(ports, count, limit, NULL);
    deliver(now_ns());
    for (int port = 0; ready > 0 && port < count; port++) {
      if (ports[port].revents & POLLIN) take(port, hold_ns);
    }
  }
  fprintf(stderr, "dropped %lu\n", dropped);
  return 0;
}
