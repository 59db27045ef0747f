/* A name service for tests: what ends in ".hangs" is never answered, what ends in ".here" is this machine. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*getaddrinfo_t)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int ends_in(const char *name, const char *end) {
  size_t length = strlen(name), end_length = strlen(end);
  return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

static void note(const char *name) {
  const char *path = getenv("NAMES_ASKED_FOR");
  int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
  if (file < 0) return;
  char line[300];
  size_t length = strlen(name) < 298 ? strlen(name) : 298;
  memcpy(line, name, length);
  line[length] = '\n';
  if (write(file, line, length + 1) < 0) abort();
  close(file);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  getaddrinfo_t original = (getaddrinfo_t)dlsym(RTLD_NEXT, "getaddrinfo");
  if (name == NULL || (!ends_in(name, ".hangs") && !ends_in(name, ".here")))
    return original(name, service, hints, found);
  note(name);
  if (ends_in(name, ".here")) return original("127.0.0.1", service, hints, found);
  sleep(3600);
  return EAI_AGAIN;
}
