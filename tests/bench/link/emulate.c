/* emulate CONGESTION SERVER_ADDRESS CLIENT_ADDRESS
 *
 * Two network namespaces, joined by a link with delay, rate, drop-tail queue and seeded loss in each
 * direction. Each end is a TUN device: the kernel's own TCP runs at both, and what it sends passes
 * through this program, packet by packet. Needs root and /dev/net/tun.
 *
 *   stdout  once: "ready SERVER CLIENT", files for `nsenter --net=FILE`
 *   stdin   "down DELAY_US BITS_PER_S QUEUE_BYTES LOSS_PPM SEED": server to client from now on, or
 *           "up ..." for the other direction; 0 bit/s is no limit. Answered with "set" on stdout.
 *           "report": "down PACKETS OVERFLOWED LOST LATE_US_MEAN LATE_US_MAX up ..." since the last one;
 *           late is what the machine adds to a delay by not running this program in time.
 *   stderr  why it could not start, or what was wrong with a line; then it ends with 1.
 *
 * It ends with its stdin, and nothing is left of it: namespaces without names live as long as a
 * process is in them or holds them open, and the devices live as long as they do.
 *
 *   packet -> lost?  -> no room in the queue?  -> waits its turn, is sent at the rate -> delay -> out
 *              |                |
 *              +--- dropped ----+
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  PACKET_BYTES_MAX = 65535,
  /* Packets read at a time, so that those that are due are not kept waiting. */
  PACKETS_AT_ONCE = 32,
  /* On the way in one direction: far above what the kernel's windows allow. */
  FLIGHT_BYTES_MAX = 64 << 20,
  LINE_BYTES_MAX = 200,
};
static const int64_t SECOND = 1000000000;
static const char DEVICE[] = "link";

struct packet {
  struct packet *next;
  int64_t due; /* ns */
  size_t length;
  unsigned char bytes[];
};

/* One direction of the link. */
struct way {
  int from, to;
  int64_t delay; /* ns */
  double rate;   /* bytes per ns, 0: no limit */
  double queue_bytes;
  double loss; /* 0..1 */
  uint64_t seed;
  int64_t free_at; /* when the last byte accepted so far will have been sent, ns */
  size_t flight_bytes;
  struct packet *first, *last;
  struct {
    unsigned long packets, overflowed, lost;
    int64_t late, late_max; /* ns */
  } seen;
};

static void die(const char *format, ...) {
  va_list values;
  va_start(values, format);
  fputs("emulate: ", stderr);
  vfprintf(stderr, format, values);
  fputc('\n', stderr);
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * SECOND + time.tv_nsec;
}

/* SplitMix64 (Steele, Lea, Flood 2014), as a fraction: the same losses from the same seed. */
static double chance(uint64_t *seed) {
  uint64_t bits = *seed += 0x9e3779b97f4a7c15;
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
  return (double)((bits ^ bits >> 31) >> 11) / (double)(1ULL << 53);
}

/* ---- the link ---- */

/* Takes a packet in. The queue holds what is not yet sent at the rate; what is on its way after that
 * fills the link, not the queue. */
static void accept_packet(struct way *way, const unsigned char *bytes, size_t length) {
  int64_t at = now();
  if (way->loss > 0 && chance(&way->seed) < way->loss) {
    way->seen.lost++;
    return;
  }
  if (way->free_at < at) way->free_at = at;
  if (way->rate > 0) {
    double waiting = (double)(way->free_at - at) * way->rate;
    if (waiting + (double)length > way->queue_bytes) {
      way->seen.overflowed++;
      return;
    }
  }
  if (way->flight_bytes + length > FLIGHT_BYTES_MAX) return;
  struct packet *packet = malloc(sizeof *packet + length);
  if (!packet) return;
  if (way->rate > 0) way->free_at += (int64_t)((double)length / way->rate);
  packet->next = NULL;
  packet->due = way->free_at + way->delay;
  packet->length = length;
  memcpy(packet->bytes, bytes, length);
  if (way->last) way->last->next = packet;
  else way->first = packet;
  way->last = packet;
  way->flight_bytes += length;
}

static void read_packets(struct way *way) {
  static unsigned char bytes[PACKET_BYTES_MAX];
  for (int packets = 0; packets < PACKETS_AT_ONCE; packets++) {
    ssize_t length = read(way->from, bytes, sizeof bytes);
    if (length <= 0) return;
    accept_packet(way, bytes, (size_t)length);
  }
}

/* Delivers what is due; returns the moment of the next delivery, or INT64_MAX. */
static int64_t deliver_packets(struct way *way) {
  struct packet *packet;
  int64_t at;
  while ((packet = way->first) && packet->due <= (at = now())) {
    way->seen.packets++;
    way->seen.late += at - packet->due;
    if (at - packet->due > way->seen.late_max) way->seen.late_max = at - packet->due;
    /* A device that takes no more loses the packet, as a full card would. */
    if (write(way->to, packet->bytes, packet->length) < 0 && errno != EAGAIN && errno != ENOBUFS)
      die("cannot deliver a packet: %s", strerror(errno));
    way->first = packet->next;
    if (!way->first) way->last = NULL;
    way->flight_bytes -= packet->length;
    free(packet);
  }
  return packet ? packet->due : INT64_MAX;
}

/* ---- namespaces and devices ---- */

static void set_kernel(const char *name, const char *value) {
  char path[100];
  snprintf(path, sizeof path, "/proc/sys/net/%s", name);
  int file = open(path, O_WRONLY);
  if (file < 0 || write(file, value, strlen(value)) < 0)
    die("cannot set %s to %s: %s", path, value, strerror(errno));
  close(file);
}

static void control(int socket, unsigned long request, const char *what, struct ifreq *device) {
  if (ioctl(socket, request, device) < 0)
    die("cannot %s of %s: %s", what, device->ifr_name, strerror(errno));
}

static struct ifreq device_named(const char *name) {
  struct ifreq device = {0};
  strncpy(device.ifr_name, name, IFNAMSIZ - 1);
  return device;
}

static void set_address(int socket, unsigned long request, const char *address) {
  struct ifreq device = device_named(DEVICE);
  struct sockaddr_in *field = (struct sockaddr_in *)&device.ifr_addr;
  field->sin_family = AF_INET;
  if (inet_pton(AF_INET, address, &field->sin_addr) != 1) die("%s is no IPv4 address", address);
  control(socket, request, "set an address", &device);
}

static void bring_up(int socket, const char *name) {
  struct ifreq device = device_named(name);
  control(socket, SIOCGIFFLAGS, "read the flags", &device);
  device.ifr_flags |= IFF_UP;
  control(socket, SIOCSIFFLAGS, "set the flags", &device);
}

/* Moves into a new namespace, with a loopback and a device that this program is the wire of. */
static int make_end(const char *congestion, const char *own, const char *peer, int *wire) {
  if (unshare(CLONE_NEWNET) < 0) die("cannot make a network namespace: %s", strerror(errno));
  set_kernel("ipv4/tcp_congestion_control", congestion);
  /* Else a connection starts with what an earlier one learned of the link. */
  set_kernel("ipv4/tcp_no_metrics_save", "1");
  /* Else the device sends packets nobody asked for. Absent where the kernel has no IPv6. */
  if (access("/proc/sys/net/ipv6", F_OK) == 0) set_kernel("ipv6/conf/default/disable_ipv6", "1");

  *wire = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct ifreq device = device_named(DEVICE);
  device.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (*wire < 0 || ioctl(*wire, TUNSETIFF, &device) < 0)
    die("cannot make a TUN device: %s", strerror(errno));
  int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) die("cannot make a socket: %s", strerror(errno));
  set_address(socket_, SIOCSIFADDR, own);
  set_address(socket_, SIOCSIFDSTADDR, peer);
  bring_up(socket_, "lo");
  bring_up(socket_, DEVICE);
  close(socket_);

  int namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (namespace < 0) die("cannot hold the namespace: %s", strerror(errno));
  return namespace;
}

/* ---- commands ---- */

static void report_way(const char *name, struct way *way, char end) {
  long packets = (long)way->seen.packets;
  printf("%s %ld %lu %lu %ld %ld%c", name, packets, way->seen.overflowed, way->seen.lost,
         packets ? (long)(way->seen.late / packets / 1000) : 0, (long)(way->seen.late_max / 1000), end);
  memset(&way->seen, 0, sizeof way->seen);
}

static void set_way(const char *line, struct way *down, struct way *up) {
  char name[8];
  long delay_us, bits, queue_bytes, loss_ppm;
  unsigned long seed;
  int fields = sscanf(line, "%7s %ld %ld %ld %ld %lu", name, &delay_us, &bits, &queue_bytes, &loss_ppm, &seed);
  struct way *way = strcmp(name, "down") == 0 ? down : strcmp(name, "up") == 0 ? up : NULL;
  if (fields != 6 || !way || delay_us < 0 || bits < 0 || queue_bytes < 0 || loss_ppm < 0)
    die("not understood: %s", line);
  way->delay = delay_us * 1000;
  way->rate = (double)bits / 8 / (double)SECOND;
  way->queue_bytes = (double)queue_bytes;
  way->loss = (double)loss_ppm / 1e6;
  way->seed = seed;
  way->free_at = 0;
  puts("set");
}

/* Reads what there is of stdin, and ends the program with it. */
static void read_commands(struct way *down, struct way *up) {
  static char line[LINE_BYTES_MAX];
  static size_t filled;
  ssize_t length = read(STDIN_FILENO, line + filled, sizeof line - 1 - filled);
  if (length <= 0) exit(0);
  filled += (size_t)length;
  line[filled] = 0;
  char *end;
  while ((end = strchr(line, '\n'))) {
    *end = 0;
    if (strcmp(line, "report") == 0) {
      report_way("down", down, ' ');
      report_way("up", up, '\n');
    } else {
      set_way(line, down, up);
    }
    filled -= (size_t)(end + 1 - line);
    memmove(line, end + 1, filled + 1);
  }
  if (filled == sizeof line - 1) die("a line of more than %d bytes", LINE_BYTES_MAX - 2);
}

int main(int count, char **words) {
  if (count != 4) die("wants CONGESTION SERVER_ADDRESS CLIENT_ADDRESS");
  setvbuf(stdout, NULL, _IOLBF, 0);
  int server, client;
  int server_namespace = make_end(words[1], words[2], words[3], &server);
  int client_namespace = make_end(words[1], words[3], words[2], &client);
  struct way down = {.from = server, .to = client}, up = {.from = client, .to = server};

  /* Packets leave when they are due, beside a busy machine too; without the right to that, later. */
  sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
  prctl(PR_SET_TIMERSLACK, 1UL);
  printf("ready /proc/%d/fd/%d /proc/%d/fd/%d\n", getpid(), server_namespace, getpid(), client_namespace);

  for (;;) {
    int64_t due = deliver_packets(&down), due_up = deliver_packets(&up);
    if (due_up < due) due = due_up;
    int64_t wait = due - now();
    if (wait < 0) wait = 0;
    struct timespec timeout = {wait / SECOND, wait % SECOND};
    struct pollfd ready[] = {{server, POLLIN, 0}, {client, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (ppoll(ready, 3, due == INT64_MAX ? NULL : &timeout, NULL) < 0 && errno != EINTR)
      die("cannot wait: %s", strerror(errno));
    if (ready[0].revents) read_packets(&down);
    if (ready[1].revents) read_packets(&up);
    if (ready[2].revents) read_commands(&down, &up);
  }
}
