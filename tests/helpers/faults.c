/* Places a fault at one moment of a program's dealings with a folder: there it dies, as if the power went, or from there
   on the disk refuses.

   Loaded with LD_PRELOAD, so that it sees the calls of every library. Each call that changes something below the folder
   has a moment before it and one after it; a write has one more, with half of its bytes written. `faults_arm` starts
   to count them, from 1, and each is a line of the log: "NUMBER when call path". With `error` 0 the process is killed at
   the chosen moment; else that call and all later ones that need room fail with this number. Moment 0 never comes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static int armed, log_descriptor, refusal;
static long chosen;
static atomic_long reached;

void faults_arm(const char *folder, long moment, int error, int log) {
    snprintf(root, sizeof root, "%s", folder);
    chosen = moment;
    refusal = error;
    log_descriptor = log;
    reached = 0;
    armed = 1;
}

static void path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = syscall(SYS_readlink, link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

/* Whether a call on this file, by name or (where it has none) by descriptor, is below the folder. Fills `path`. */
static int concerns(int folder, const char *name, char *path) {
    if (!armed) return 0;
    char above[PATH_MAX] = "";
    if (!name) {
        path_of(folder, path);
    } else if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else {
        if (folder != AT_FDCWD) path_of(folder, above);
        else if (syscall(SYS_getcwd, above, PATH_MAX) < 0) return 0;
        if (snprintf(path, PATH_MAX, "%s/%s", above, name) >= PATH_MAX) return 0;
    }
    return strncmp(path, root, strlen(root)) == 0;
}

static void die(void) { syscall(SYS_kill, getpid(), SIGKILL); }

/* Counts a moment and says whether it is the chosen one. */
static int moment(const char *when, const char *call, const char *path) {
    char line[PATH_MAX + 64];
    long number = ++reached;
    int length = snprintf(line, sizeof line, "%ld %s %s %s\n", number, when, call, path);
    syscall(SYS_write, log_descriptor, line, length);
    return number == chosen;
}

/* The moment before a call; whether the call is refused. */
static int before(const char *call, const char *path) {
    if (moment("before", call, path) && !refusal) die();
    int refused = refusal && chosen && reached >= chosen && strncmp(call, "unlink", 6) && strcmp(call, "rmdir");
    if (refused) errno = refusal;
    return refused;
}

static void after(const char *call, const char *path) {
    int error = errno;
    if (moment("after", call, path) && !refusal) die();
    errno = error;
}

#define REAL(name) ({ static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name); real; })

/* The call between its moments; `half` is what a write does that is cut short. */
#define PLACED(name, half, folder, file, ...) ({                                  \
    char full[PATH_MAX];                                                          \
    int seen = concerns(folder, file, full);                                      \
    __typeof__(REAL(name)(__VA_ARGS__)) result = -1;                              \
    if (!seen || !before(#name, full)) {                                          \
        half;                                                                     \
        result = REAL(name)(__VA_ARGS__);                                         \
        if (seen) after(#name, full);                                             \
    }                                                                             \
    result; })
#define CALL(name, folder, file, ...) return PLACED(name, , folder, file, __VA_ARGS__)
#define WRITE(name, file, half, ...)                                              \
    return PLACED(name, if (seen && moment("in", #name, full) && !refusal) { half; die(); }, file, NULL, __VA_ARGS__)

int rename(const char *from, const char *to) { CALL(rename, AT_FDCWD, to, from, to); }
int renameat(int a, const char *from, int b, const char *to) { CALL(renameat, b, to, a, from, b, to); }
int link(const char *from, const char *to) { CALL(link, AT_FDCWD, to, from, to); }
int symlink(const char *from, const char *to) { CALL(symlink, AT_FDCWD, to, from, to); }
int unlink(const char *name) { CALL(unlink, AT_FDCWD, name, name); }
int unlinkat(int folder, const char *name, int flags) { CALL(unlinkat, folder, name, folder, name, flags); }
int rmdir(const char *name) { CALL(rmdir, AT_FDCWD, name, name); }
int mkdir(const char *name, mode_t mode) { CALL(mkdir, AT_FDCWD, name, name, mode); }
int mkdirat(int folder, const char *name, mode_t mode) { CALL(mkdirat, folder, name, folder, name, mode); }
int fsync(int file) { CALL(fsync, file, NULL, file); }
int fdatasync(int file) { CALL(fdatasync, file, NULL, file); }
int ftruncate(int file, off_t length) { CALL(ftruncate, file, NULL, file, length); }
int ftruncate64(int file, off_t length) { CALL(ftruncate64, file, NULL, file, length); }
int truncate(const char *name, off_t length) { CALL(truncate, AT_FDCWD, name, name, length); }
int posix_fallocate(int file, off_t start, off_t length) { CALL(posix_fallocate, file, NULL, file, start, length); }

#define OPEN(name)                                                                \
    int name(const char *path, int flags, ...) {                                  \
        va_list more;                                                             \
        va_start(more, flags);                                                    \
        mode_t mode = va_arg(more, mode_t);                                       \
        va_end(more);                                                             \
        if (!(flags & (O_CREAT | O_TRUNC))) return REAL(name)(path, flags, mode); \
        CALL(name, AT_FDCWD, path, path, flags, mode);                            \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                      \
    int name(int folder, const char *path, int flags, ...) {                              \
        va_list more;                                                                     \
        va_start(more, flags);                                                            \
        mode_t mode = va_arg(more, mode_t);                                               \
        va_end(more);                                                                     \
        if (!(flags & (O_CREAT | O_TRUNC))) return REAL(name)(folder, path, flags, mode); \
        CALL(name, folder, path, folder, path, flags, mode);                              \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *bytes, size_t count) {
    WRITE(write, file, REAL(write)(file, bytes, count / 2), file, bytes, count);
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t start) {
    WRITE(pwrite, file, REAL(pwrite)(file, bytes, count / 2, start), file, bytes, count, start);
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off_t start) {
    WRITE(pwrite64, file, REAL(pwrite64)(file, bytes, count / 2, start), file, bytes, count, start);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    WRITE(writev, file, REAL(writev)(file, parts, count / 2), file, parts, count);
}
ssize_t sendfile(int to, int from, off_t *start, size_t count) {
    WRITE(sendfile, to, REAL(sendfile)(to, from, start, count / 2), to, from, start, count);
}
ssize_t copy_file_range(int from, off_t *start, int to, off_t *place, size_t count, unsigned flags) {
    WRITE(copy_file_range, to, REAL(copy_file_range)(from, start, to, place, count / 2, flags), from, start, to, place,
          count, flags);
}
