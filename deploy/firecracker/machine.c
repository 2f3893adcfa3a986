/* What the microVM is made of: mounts, the data drive, network, clock, and limits that fit its size. */
#define _GNU_SOURCE
#include "machine.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DATA_DEVICE "/dev/vdb"
#define BLANK_BYTES (1 << 20)
#define CONFIG_FILE "/data/nats-gateway.yaml"
#define STORE_DIR "/data/jetstream"

double uptime(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

void say(const char *format, ...) {
  char text[512];
  va_list values;
  va_start(values, format);
  vsnprintf(text, sizeof text, format, values);
  va_end(values);
  dprintf(STDERR_FILENO, "init [%8.3f]: %s\n", uptime(), text);
}

_Noreturn void end_machine(void) {
  sync();
  reboot(RB_AUTOBOOT);
  for (;;) pause();
}

/* Nothing of use can run: the machine ends, so that whoever started it notices. */
static _Noreturn void give_up(const char *reason) {
  say("cannot start: %s (%s)", reason, strerror(errno));
  end_machine();
}

static void must_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options) {
  if (mount(source, target, type, flags, options) == 0 || errno == EBUSY) return;
  give_up(target);
}

void mount_system(void) {
  must_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  must_mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  must_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755");
  must_mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m");
  must_mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=8m");
}

/* Runs a program to its end; its exit code, or -1. */
static int run(char *const argv[]) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    execv(argv[0], argv);
    _exit(127);
  }
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

/* Only a drive that holds nothing is formatted: every file system, partition table and volume manager writes to the first mebibyte. */
static bool is_blank(const char *device) {
  static char start[BLANK_BYTES];
  int file = open(device, O_RDONLY | O_CLOEXEC);
  if (file < 0) give_up(device);
  ssize_t got = read(file, start, sizeof start);
  close(file);
  for (ssize_t at = 0; at < got; at++)
    if (start[at] != 0) return false;
  return got == sizeof start;
}

void mount_data(void) {
  if (access(DATA_DEVICE, F_OK) != 0) give_up("there is no second drive for /data");
  if (is_blank(DATA_DEVICE)) {
    say("formatting the blank drive %s", DATA_DEVICE);
    char *const format[] = {"/sbin/mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", "data", DATA_DEVICE, NULL};
    if (run(format) != 0) give_up("mke2fs failed");
  }
  /* With an error on it nothing more is to be acknowledged: read-only, the server's writes fail. */
  must_mount(DATA_DEVICE, "/data", "ext4", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, "errors=remount-ro");
  mkdir(STORE_DIR, 0750);
  if (chown(STORE_DIR, USER, USER) != 0) give_up(STORE_DIR);
}

static struct sockaddr address(const char *text) {
  struct sockaddr_in found = {.sin_family = AF_INET};
  struct sockaddr result;
  errno = EINVAL;
  if (inet_pton(AF_INET, text, &found.sin_addr) != 1) give_up(text);
  memcpy(&result, &found, sizeof result);
  return result;
}

static void set_up(int socket, const char *device, const char *client, const char *netmask) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
  request.ifr_addr = address(client);
  if (ioctl(socket, SIOCSIFADDR, &request) != 0) give_up(device);
  request.ifr_netmask = address(netmask);
  if (ioctl(socket, SIOCSIFNETMASK, &request) != 0) give_up(netmask);
  if (ioctl(socket, SIOCGIFFLAGS, &request) != 0) give_up(device);
  request.ifr_flags |= IFF_UP;
  if (ioctl(socket, SIOCSIFFLAGS, &request) != 0) give_up(device);
}

static void add_default_route(int socket, const char *gateway) {
  struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
  route.rt_gateway = address(gateway);
  route.rt_dst.sa_family = route.rt_genmask.sa_family = AF_INET;
  if (ioctl(socket, SIOCADDRT, &route) != 0) give_up(gateway);
}

static void name_servers(const char *first, const char *second) {
  int file = open("/run/resolv.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) give_up("/run/resolv.conf");
  if (*first != '\0') dprintf(file, "nameserver %s\n", first);
  if (*second != '\0') dprintf(file, "nameserver %s\n", second);
  close(file);
}

void start_network(void) {
  enum { CLIENT, SERVER, GATEWAY, NETMASK, HOSTNAME, DEVICE, AUTOCONF, DNS1, DNS2, FIELDS };
  const char *field[FIELDS] = {"", "", "", "255.255.255.0", "es-sync", "eth0", "", "", ""};
  const char *given = getenv("ip");
  char *rest = given == NULL ? NULL : strdup(given);
  for (int at = 0; at < FIELDS && rest != NULL; at++) {
    char *text = strsep(&rest, ":");
    if (*text != '\0') field[at] = text;
  }
  int plug = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (plug < 0) give_up("network");
  set_up(plug, "lo", "127.0.0.1", "255.0.0.0");
  if (sethostname(field[HOSTNAME], strlen(field[HOSTNAME])) != 0) give_up(field[HOSTNAME]);
  name_servers(field[DNS1], field[DNS2]);
  if (given == NULL) say("no kernel argument ip=: the machine has no network");
  else set_up(plug, field[DEVICE], field[CLIENT], field[NETMASK]);
  if (*field[GATEWAY] != '\0') add_default_route(plug, field[GATEWAY]);
  close(plug);
}

/*
 * The clock of the hypervisor is right at the start, then drifts, and stands still while a snapshot lies on disk. Where the host offers its
 * own (ptp_kvm) it is followed: small differences are slewed, large ones stepped.
 */
void follow_host_clock(void) {
  static int clock_file = -2;
  if (clock_file == -2) clock_file = open("/dev/ptp0", O_RDONLY | O_CLOEXEC);
  if (clock_file < 0) return;
  struct timespec host, own;
  /* The kernel's number of the clock behind a file. */
  clockid_t host_clock = ((~(clockid_t)clock_file) << 3) | 3;
  if (clock_gettime(host_clock, &host) != 0 || clock_gettime(CLOCK_REALTIME, &own) != 0) return;
  double behind = (double)(host.tv_sec - own.tv_sec) + (host.tv_nsec - own.tv_nsec) / 1e9;
  if (behind > -0.5 && behind < 0.5) {
    struct timeval slew = {.tv_usec = (suseconds_t)(behind * 1e6)};
    adjtime(&slew, NULL);
  } else if (clock_settime(CLOCK_REALTIME, &host) == 0) {
    say("the clock was %.3f s behind the host's", behind);
  }
}

/* The value in kB behind a name in a file of /proc, in MB; negative where it is not there. */
static double megabytes(const char *text, const char *name) {
  const char *at = strstr(text, name);
  return at == NULL ? -1 : strtod(at + strlen(name), NULL) / 1024;
}

static bool read_text(const char *entry, const char *rest, char *text, size_t room) {
  char path[300];
  snprintf(path, sizeof path, "/proc/%s%s", entry, rest);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = file < 0 ? -1 : read(file, text, room - 1);
  if (file >= 0) close(file);
  text[got > 0 ? got : 0] = '\0';
  return got > 0;
}

void report_memory(void) {
  char text[4096], command[256];
  if (!read_text("meminfo", "", text, sizeof text)) return;
  say("memory: %.1f MB, %.1f MB available", megabytes(text, "MemTotal:"), megabytes(text, "MemAvailable:"));
  DIR *processes = opendir("/proc");
  for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
    /* Threads of the kernel have no command line. */
    if (entry->d_name[0] > '9' || !read_text(entry->d_name, "/cmdline", command, sizeof command) || !read_text(entry->d_name, "/status", text, sizeof text)) continue;
    say("memory of %s: %.1f MB own, %.1f MB of files", command, megabytes(text, "RssAnon:"), megabytes(text, "RssFile:"));
  }
  if (processes != NULL) closedir(processes);
}

/* A setting that the kernel's arguments do not give. */
__attribute__((format(printf, 2, 3))) static void by_default(const char *name, const char *format, ...) {
  char text[128];
  va_list values;
  va_start(values, format);
  vsnprintf(text, sizeof text, format, values);
  va_end(values);
  setenv(name, text, 0);
}

/* What fits this machine: its memory is shared by two programs and the kernel, and its drive is the store's alone. */
void settle_limits(void) {
  struct sysinfo machine;
  struct statvfs drive;
  if (sysinfo(&machine) != 0 || statvfs("/data", &drive) != 0) give_up("/data");
  unsigned long long memory = (unsigned long long)machine.totalram * machine.mem_unit;
  unsigned long long room = (unsigned long long)drive.f_blocks * drive.f_frsize;
  by_default("GOMEMLIMIT", "%lluMiB", (memory / 5) >> 20);
  by_default("NODE_OPTIONS", "--max-old-space-size=%llu --max-semi-space-size=1 --v8-pool-size=1", (memory / 4) >> 20);
  by_default("JS_MAX_MEMORY", "%lluMB", (memory / 32) >> 20);
  by_default("JS_MAX_FILE", "%lluMB", (room / 10 * 9) >> 20);
  by_default("STORE_DIR", STORE_DIR);
  /* The console is a terminal only in name. */
  by_default("LOG_FORMAT", "json");
  if (access(CONFIG_FILE, R_OK) == 0) by_default("CONFIG", CONFIG_FILE);
  setenv("HOME", "/tmp", 1);
  setenv("PATH", "/usr/bin", 1);
  struct rlimit files = {65536, 65536};
  setrlimit(RLIMIT_NOFILE, &files);
}
