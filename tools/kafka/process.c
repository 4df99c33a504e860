/* What has to be known before main(): Rust's runtime opens /dev/null for a standard descriptor that is closed, and
 * nothing shows afterwards that there is nobody to read from or to write to. */
#include <errno.h>
#include <fcntl.h>

static int closed;

__attribute__((constructor)) static void look_at_standard_descriptors(void) {
        for (int fd = 0; fd <= 2; fd++)
                if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
                        closed |= 1 << fd;
}

/* Bit 0 for standard input, 1 for standard output, 2 for standard error. */
int kafkautils_closed_at_start(void) {
        return closed;
}
