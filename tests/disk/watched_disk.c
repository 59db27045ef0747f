/* A disk that is watched, and may fail: preloaded into a process, it notes in WATCH_LOG, in the order
   in which they happen, each change to the database WATCH_DATABASE and the files beside it, when each
   fsync began and that it succeeded, and each answer of 202 just before it leaves.

   The FAIL_AT-th FAIL_CALL ("sync" or "write") ends with the error FAIL_ERROR (EIO); without FAIL_AT
   each does, for as long as there is a file FAIL_WHILE. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DATABASE, JOURNAL, ROLLBACK, FOLDER, OTHER = -1 };

struct note {
  uint8_t kind, file;
  uint16_t none;
  uint32_t size;
  uint64_t at;
};

static const char *database, *folder, *fail_call, *fail_while;
static int log_fd = -1, fail_at, fail_error = EIO, calls;
static uint64_t syncs;
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

/* Anew in each process: the log is one for all that come after one another. */
__attribute__((constructor)) static void start(void) {
  const char *log = getenv("WATCH_LOG");
  database = getenv("WATCH_DATABASE");
  fail_call = getenv("FAIL_CALL");
  fail_while = getenv("FAIL_WHILE");
  if (getenv("FAIL_AT")) fail_at = atoi(getenv("FAIL_AT"));
  if (getenv("FAIL_ERROR")) fail_error = atoi(getenv("FAIL_ERROR"));
  if (!log || !database) return;
  folder = strndup(database, strrchr(database, '/') - database);
  int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 500);
  close(fd);
}

static int file_called(const char *path) {
  size_t length;
  if (!database) return OTHER;
  if (strcmp(path, folder) == 0) return FOLDER;
  length = strlen(database);
  if (strncmp(path, database, length) != 0) return OTHER;
  if (path[length] == 0) return DATABASE;
  if (strcmp(path + length, "-wal") == 0) return JOURNAL;
  return strcmp(path + length, "-journal") == 0 ? ROLLBACK : OTHER;
}

static int file_of(int fd) {
  char link[64], path[4096];
  ssize_t length;
  int before = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length < 0) return OTHER;
  path[length] = 0;
  return file_called(path);
}

/* Whether it is a file whose name begins with the database's: a disk refuses those as well. */
static int is_beside(int fd) {
  char link[64], path[4096];
  ssize_t length;
  int before = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length < 0 || !database) return 0;
  path[length] = 0;
  return strncmp(path, database, strlen(database)) == 0;
}

static void note(char kind, int file, uint64_t at, const void *data, size_t size) {
  struct note head = {kind, file, 0, size, at};
  struct iovec parts[] = {{&head, sizeof head}, {(void *) data, size}};
  int before = errno;
  if (log_fd < 0) return;
  pthread_mutex_lock(&one);
  if (syscall(SYS_writev, log_fd, parts, 2) != (long) (sizeof head + size)) abort();
  pthread_mutex_unlock(&one);
  errno = before;
}

static int fails(const char *call, int file) {
  int before = errno, failing = 0;
  if (file == OTHER || !fail_call || strcmp(fail_call, call) != 0) return 0;
  if (fail_at) failing = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == fail_at;
  else if (fail_while) failing = access(fail_while, F_OK) == 0;
  errno = before;
  if (!failing) return 0;
  note('f', file, 0, call, strlen(call));
  errno = fail_error;
  return 1;
}

#define GENUINE(result, name, parameters)                                        \
  static result(*genuine) parameters;                                            \
  if (!genuine) genuine = (result(*) parameters) dlsym(RTLD_NEXT, #name)

#define SYNCING(name)                                                            \
  int name(int fd) {                                                             \
    GENUINE(int, name, (int));                                                   \
    int file = file_of(fd), result;                                              \
    if (fails("sync", file)) return -1;                                          \
    if (file == OTHER) return genuine(fd);                                       \
    uint64_t number = __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST);           \
    note('S', file, number, "", 0);                                              \
    result = genuine(fd);                                                        \
    if (result == 0) note('s', file, number, "", 0);                             \
    return result;                                                               \
  }

SYNCING(fsync)
SYNCING(fdatasync)

#define WRITING(name, offset)                                                    \
  ssize_t name(int fd, const void *from, size_t size, offset at) {               \
    GENUINE(ssize_t, name, (int, const void *, size_t, offset));                 \
    int file = file_of(fd);                                                      \
    ssize_t written;                                                             \
    if (fails("write", file)) return -1;                                         \
    written = genuine(fd, from, size, at);                                       \
    if (file != OTHER && written > 0) note('w', file, at, from, written);        \
    return written;                                                              \
  }

WRITING(pwrite, off_t)
WRITING(pwrite64, off64_t)

#define TRUNCATING(name, offset)                                                 \
  int name(int fd, offset length) {                                              \
    GENUINE(int, name, (int, offset));                                           \
    int file = file_of(fd), result = genuine(fd, length);                        \
    if (file != OTHER && result == 0) note('t', file, length, "", 0);            \
    return result;                                                               \
  }

TRUNCATING(ftruncate, off_t)
TRUNCATING(ftruncate64, off64_t)

int unlink(const char *path) {
  GENUINE(int, unlink, (const char *));
  int file = file_called(path), result = genuine(path);
  if (file != OTHER && result == 0) note('u', file, 0, "", 0);
  return result;
}

/* Which connections a 202 is under way on: its body may leave after its head. */
static char accepting[4096];

static void note_answer(int fd, const void *data, size_t size) {
  static const char answer[] = "HTTP/1.1 ", accepted[] = "HTTP/1.1 202";
  if (fd < 0 || fd >= (int) sizeof accepting) return;
  if (size >= sizeof answer - 1 && memcmp(data, answer, sizeof answer - 1) == 0) {
    accepting[fd] = size >= sizeof accepted - 1 && memcmp(data, accepted, sizeof accepted - 1) == 0;
    if (accepting[fd]) note('a', 0, fd, data, size);
  } else if (accepting[fd]) {
    note('b', 0, fd, data, size);
  }
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
  GENUINE(ssize_t, send, (int, const void *, size_t, int));
  note_answer(fd, data, size);
  return genuine(fd, data, size, flags);
}

ssize_t write(int fd, const void *data, size_t size) {
  GENUINE(ssize_t, write, (int, const void *, size_t));
  if (fail_while && is_beside(fd) && fails("write", DATABASE)) return -1;
  note_answer(fd, data, size);
  return genuine(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  GENUINE(ssize_t, writev, (int, const struct iovec *, int));
  for (int i = 0; i < count; i++) note_answer(fd, parts[i].iov_base, parts[i].iov_len);
  return genuine(fd, parts, count);
}

int close(int fd) {
  GENUINE(int, close, (int));
  if (fd >= 0 && fd < (int) sizeof accepting) accepting[fd] = 0;
  return genuine(fd);
}
