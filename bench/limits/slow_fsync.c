/* Preloaded with LD_PRELOAD, makes every fsync and fdatasync take at least 2 ms, as on an SSD without
 * power-loss protection or a cloud's network disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

#define LEAST_NS 2000000L

static long elapsed_ns(const struct timespec *since) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - since->tv_sec) * 1000000000L + (now.tv_nsec - since->tv_nsec);
}

static int slowly(int (*sync_file)(int), int fd) {
  struct timespec started;
  clock_gettime(CLOCK_MONOTONIC, &started);
  int result = sync_file(fd);
  long left = LEAST_NS - elapsed_ns(&started);
  if (left > 0) {
    struct timespec rest = {0, left};
    nanosleep(&rest, NULL);
  }
  return result;
}

int fsync(int fd) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return slowly(real, fd);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return slowly(real, fd);
}
