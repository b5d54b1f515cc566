/* Makes the n-th call that changes files under one folder fail, or the process die at it.
 *
 * Loaded by LD_PRELOAD into the program under test. Every call is counted across all threads
 * and processes in one shared file, so "the n-th" is exact; strace counts each thread on its
 * own (a test of this folder shows with strace that nothing is missed here).
 *
 *   FAULT_DIR      only calls on files under this folder count
 *   FAULT_COUNTER  a file of 8 bytes that holds the count
 *   FAULT_AT       the number of the call, from 1; 0 only counts
 *   FAULT_ACTION   kill | torn (half a write, then kill) | eio | enospc | full (ENOSPC from there on)
 *   FAULT_CALLS    any of w (write), s (sync), n (name: rename, link, truncate), u (unlink); all by default
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum verdict { GO_ON, FAIL, HALF };

static char folder[PATH_MAX];
static size_t folder_length;
static unsigned long *counter, at;
static char action[16], calls[8];

__attribute__((constructor)) static void begin(void) {
    const char *dir = getenv("FAULT_DIR"), *file = getenv("FAULT_COUNTER");
    if (!dir || !file || !realpath(dir, folder)) return;
    folder_length = strlen(folder);
    const char *number = getenv("FAULT_AT"), *what = getenv("FAULT_ACTION"), *kinds = getenv("FAULT_CALLS");
    at = number ? strtoul(number, NULL, 10) : 0;
    snprintf(action, sizeof action, "%s", what ? what : "");
    snprintf(calls, sizeof calls, "%s", kinds && *kinds ? kinds : "wsnu");
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *shared = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED) counter = shared;
}

static int is_inside(const char *path) {
    return strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || !path[folder_length]);
}

static int fd_is_inside(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return is_inside(path);
}

static int path_is_inside(int dirfd, const char *path) {
    if (path[0] == '/') return is_inside(path);
    if (dirfd != AT_FDCWD) return fd_is_inside(dirfd);
    char here[PATH_MAX];
    return getcwd(here, sizeof here) && is_inside(here);
}

/* Said on stderr, so that a failing test shows where it hit. */
static void tell(char kind, unsigned long n, int fd, const char *path) {
    char link[64], name[PATH_MAX];
    if (!path) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, name, sizeof name - 1);
        name[length > 0 ? length : 0] = 0;
        path = name;
    }
    int kept = errno;
    dprintf(2, "fault: %s at call %lu (%c) on %s\n", action, n, kind, path);
    errno = kept;
}

static enum verdict meet(char kind, int fd, const char *path) {
    if (!strchr(calls, kind)) return GO_ON;
    unsigned long n = __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
    if (!at || n < at) return GO_ON;
    if (!strcmp(action, "full")) {
        if (kind != 'w' && kind != 'n') return GO_ON;
        if (n == at) tell(kind, n, fd, path);
        errno = ENOSPC;
        return FAIL;
    }
    if (n != at) return GO_ON;
    tell(kind, n, fd, path);
    if (!strcmp(action, "kill")) kill(getpid(), SIGKILL);
    if (!strcmp(action, "torn")) return HALF;
    errno = strcmp(action, "enospc") ? EIO : ENOSPC;
    return FAIL;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

#define REAL(type, name, ...)                                  \
    static type (*real)(__VA_ARGS__);                          \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define WRITER(name, params, args, half)                       \
    ssize_t name params {                                      \
        REAL(ssize_t, #name, TYPES);                           \
        if (counter && fd_is_inside(fd)) switch (meet('w', fd, NULL)) {  \
            case FAIL: return -1;                              \
            case HALF: half; die();                            \
            case GO_ON: break;                                 \
        }                                                      \
        return real args;                                      \
    }

#define TYPES int, const void *, size_t
WRITER(write, (int fd, const void *b, size_t n), (fd, b, n), real(fd, b, n / 2))
#undef TYPES
#define TYPES int, const void *, size_t, off_t
WRITER(pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), real(fd, b, n / 2, o))
#undef TYPES
#define TYPES int, const void *, size_t, off64_t
WRITER(pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o), real(fd, b, n / 2, o))
#undef TYPES
#define TYPES int, const struct iovec *, int
WRITER(writev, (int fd, const struct iovec *v, int n), (fd, v, n), real(fd, v, n > 1 ? n / 2 : n))
#undef TYPES

#define FD(fd) fd, NULL
#define PATH(path) -1, path

#define OTHER(kind, name, params, inside, where, args, ...)    \
    int name params {                                          \
        REAL(int, #name, __VA_ARGS__);                         \
        if (counter && (inside)) switch (meet(kind, where)) {         \
            case FAIL: return -1;                              \
            case HALF: die();                                  \
            case GO_ON: break;                                 \
        }                                                      \
        return real args;                                      \
    }

OTHER('s', fsync, (int fd), fd_is_inside(fd), FD(fd), (fd), int)
OTHER('s', fdatasync, (int fd), fd_is_inside(fd), FD(fd), (fd), int)
OTHER('n', ftruncate, (int fd, off_t n), fd_is_inside(fd), FD(fd), (fd, n), int, off_t)
OTHER('n', ftruncate64, (int fd, off64_t n), fd_is_inside(fd), FD(fd), (fd, n), int, off64_t)
OTHER('n', rename, (const char *a, const char *b), path_is_inside(AT_FDCWD, b), PATH(b), (a, b), const char *, const char *)
OTHER('n', renameat, (int x, const char *a, int y, const char *b), path_is_inside(y, b), PATH(b), (x, a, y, b), int, const char *, int, const char *)
OTHER('n', renameat2, (int x, const char *a, int y, const char *b, unsigned f), path_is_inside(y, b), PATH(b), (x, a, y, b, f), int, const char *, int, const char *, unsigned)
OTHER('n', link, (const char *a, const char *b), path_is_inside(AT_FDCWD, b), PATH(b), (a, b), const char *, const char *)
OTHER('n', linkat, (int x, const char *a, int y, const char *b, int f), path_is_inside(y, b), PATH(b), (x, a, y, b, f), int, const char *, int, const char *, int)
OTHER('u', unlink, (const char *a), path_is_inside(AT_FDCWD, a), PATH(a), (a), const char *)
OTHER('u', unlinkat, (int x, const char *a, int f), path_is_inside(x, a), PATH(a), (x, a, f), int, const char *, int)
