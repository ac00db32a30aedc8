/*
 * Loaded into a program by LD_PRELOAD: a name of a host for which the folder GRAFTLING_TESTBED_HOST_NAMES holds a file means this machine,
 * unless the file says how it fails: `unknown`, `failing` or `silent`. Each failure adds a byte to the file `<name>.failures`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* How often a silent resolver looks whether it is to speak, and when it gives up: after thirty seconds, as with three servers. */
enum { PAUSE_MICROSECONDS = 50 * 1000, PAUSES = 600 };

/* What the folder's file of this name begins with: zero if it is empty, less if there is none. */
static int first(const char *folder, const char *node) {
    char path[512], letter = 0;
    if (strchr(node, '/') || snprintf(path, sizeof path, "%s/%s", folder, node) >= (int)sizeof path) {
        return -1;
    }
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return -1;
    }
    ssize_t length = read(file, &letter, 1);
    close(file);
    return length == 1 ? letter : 0;
}

static void count(const char *folder, const char *node) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.failures", folder, node);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        ssize_t written = write(file, ".", 1);
        (void)written;
        close(file);
    }
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    lookup real = (lookup)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *folder = getenv("GRAFTLING_TESTBED_HOST_NAMES");
    int way = folder && node ? first(folder, node) : -1;
    if (way > 0) {
        count(folder, node);
        for (int pause = 0; way == 's' && pause < PAUSES; pause++) {
            usleep(PAUSE_MICROSECONDS);
            way = first(folder, node);
        }
    }
    if (way > 0) {
        return way == 'u' ? EAI_NONAME : EAI_AGAIN;
    }
    return real(way == 0 ? "127.0.0.1" : node, service, hints, result);
}
