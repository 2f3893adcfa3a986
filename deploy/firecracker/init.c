/*
 * Process 1 of the microVM: mounts, network, clock, one program, and an end that leaves the data drive clean.
 *
 * What it is told it is told by kernel arguments. `ip=` is read as the kernel's own ip= is (Documentation/admin-guide/nfs/nfsroot.rst):
 *     ip=CLIENT::GATEWAY:NETMASK:HOSTNAME:DEVICE:off:DNS1:DNS2
 * Arguments that the kernel does not know itself are its environment, and with that the gateway's: EXCLUDE_PATTERNS=secret-* sets
 * --exclude-patterns. SIGTERM, SIGINT and Ctrl-Alt-Del (Firecracker's SendCtrlAltDel) end the machine.
 */
#define _GNU_SOURCE
#include "machine.h"
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "/usr/bin/nats-gateway"

enum { DRAIN_S = 45, REST_S = 10, RESTART_MIN_S = 1, RESTART_MAX_S = 30, STEADY_S = 60, CLOCK_EVERY_S = 30 };

/* The signals of interest, blocked from the start on and waited for; whether one that ends the machine has come. */
static sigset_t waited;
static bool stop_asked;

static pid_t start_program(void) {
  pid_t child = fork();
  if (child != 0) return child;
  sigprocmask(SIG_UNBLOCK, &waited, NULL);
  setsid();
  if (setgroups(0, NULL) != 0 || setgid(USER) != 0 || setuid(USER) != 0 || chdir("/data") != 0) _exit(126);
  execl(PROGRAM, "nats-gateway", "--embedded", (char *)NULL);
  _exit(127);
}

/* Collects ended children; true while the program `of` is not among them. */
static bool reap(pid_t of, int *status) {
  bool lives = true;
  int one;
  for (pid_t child; (child = waitpid(-1, &one, WNOHANG)) > 0;)
    if (child == of) {
      lives = false;
      *status = one;
    }
  return lives;
}

/* Waits for one of the signals, at most so long. */
static void wait_signal(time_t seconds) {
  struct timespec limit = {.tv_sec = seconds};
  int signal = sigtimedwait(&waited, NULL, &limit);
  if (signal == SIGTERM || signal == SIGINT) stop_asked = true;
}

/* Ends every process but this one: asked at first, then made to. */
static void end_the_rest(void) {
  kill(-1, SIGTERM);
  for (double late = uptime() + REST_S; uptime() < late;) {
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    if (waitpid(-1, NULL, WNOHANG) < 0) return;
    wait_signal(1);
  }
  kill(-1, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0) continue;
}

static _Noreturn void shut_down(pid_t program) {
  int status;
  say("stopping");
  report_memory();
  if (program > 0) {
    kill(program, SIGTERM);
    for (double late = uptime() + DRAIN_S; uptime() < late && reap(program, &status);) wait_signal(1);
  }
  end_the_rest();
  if (umount("/data") != 0) say("/data: %s", strerror(errno));
  say("stopped");
  end_machine();
}

static void tell_end(int status, unsigned pause_s) {
  if (WIFSIGNALED(status)) say("the gateway was killed by signal %d; starting it again in %u s", WTERMSIG(status), pause_s);
  else say("the gateway ended with code %d; starting it again in %u s", WEXITSTATUS(status), pause_s);
}

int main(void) {
  if (getpid() != 1) return dprintf(STDERR_FILENO, "init is process 1 of a microVM, and nothing else\n"), 2;
  sigemptyset(&waited);
  for (const int *one = (const int[]){SIGCHLD, SIGTERM, SIGINT, 0}; *one != 0; one++) sigaddset(&waited, *one);
  sigprocmask(SIG_BLOCK, &waited, NULL);
  /* From now on Ctrl-Alt-Del is SIGINT, and no reset at once. */
  reboot(RB_DISABLE_CAD);
  mount_system();
  say("started");
  mount_data();
  start_network();
  follow_host_clock();
  settle_limits();

  pid_t program = 0;
  unsigned pause_s = 0;
  for (double started = 0, again = 0;;) {
    int status = 0;
    if (program == 0 && uptime() >= again) {
      say("starting the gateway");
      started = uptime();
      program = start_program();
    }
    wait_signal(program == 0 ? 1 : CLOCK_EVERY_S);
    if (stop_asked) shut_down(program);
    follow_host_clock();
    if (reap(program, &status)) continue;
    program = 0;
    if (pause_s == 0 || uptime() - started > STEADY_S) pause_s = RESTART_MIN_S;
    else if ((pause_s *= 2) > RESTART_MAX_S) pause_s = RESTART_MAX_S;
    again = uptime() + pause_s;
    tell_end(status, pause_s);
    /* Its NATS server does not end by itself, and its store belongs to one server at a time. */
    end_the_rest();
  }
}
