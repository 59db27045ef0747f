/* A disk that fails: preloaded into a process, it lets the FAIL_AT-th FAIL_CALL ("sync" or "write")
   to a file whose name ends in FAIL_FILE, and no other, end with EIO. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int calls;

static int fails(const char *call, int fd) {
  const char *wanted = getenv("FAIL_CALL"), *file = getenv("FAIL_FILE"), *at = getenv("FAIL_AT");
  char link[64], path[4096];
  ssize_t length;
  if (!wanted || !file || !at || strcmp(wanted, call) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink(link, path, sizeof path - 1);
  if (length < (ssize_t) strlen(file)) return 0;
  path[length] = 0;
  if (strcmp(path + length - strlen(file), file) != 0) return 0;
  return __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == atoi(at);
}

#define FAILING(call, result, name, parameters, arguments)                       \
  result name parameters {                                                       \
    static result(*genuine) parameters;                                          \
    if (!genuine) genuine = (result(*) parameters) dlsym(RTLD_NEXT, #name);      \
    if (fails(call, fd)) {                                                       \
      errno = EIO;                                                               \
      return -1;                                                                 \
    }                                                                            \
    return genuine arguments;                                                    \
  }

FAILING("sync", int, fsync, (int fd), (fd))
FAILING("sync", int, fdatasync, (int fd), (fd))
FAILING("write", ssize_t, write, (int fd, const void *from, size_t size), (fd, from, size))
FAILING("write", ssize_t, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
FAILING("write", ssize_t, pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at))
