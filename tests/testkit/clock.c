/*
 * A wall clock that a test can set: preload this, and let KAFKAUTILS_CLOCK name
 * a file of eight bytes, by how many seconds the clock is wrong.
 *
 * What counts time that passes is left as it is, and a wait for a time of day
 * ends when this clock has come so far, be it set during the wait: so does
 * Linux. (libfaketime reckons once, when the wait begins.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const int64_t SECOND = 1000000000;
static const volatile int64_t *wrong_by;

__attribute__((constructor)) static void open_clock(void) {
        const char *path = getenv("KAFKAUTILS_CLOCK");
        int file         = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *place;

        if (file < 0)
                return;
        place = mmap(NULL, sizeof(*wrong_by), PROT_READ, MAP_SHARED, file, 0);
        close(file);
        if (place != MAP_FAILED)
                wrong_by = place;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
        int failed = (int)syscall(SYS_clock_gettime, clock, now);

        if (!failed && wrong_by &&
            (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                now->tv_sec += *wrong_by;
        return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
        struct timespec precise;

        (void)zone;
        clock_gettime(CLOCK_REALTIME, &precise);
        now->tv_sec  = precise.tv_sec;
        now->tv_usec = precise.tv_nsec / 1000;
        return 0;
}

time_t time(time_t *also) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        if (also)
                *also = now.tv_sec;
        return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
        return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

static int64_t nanoseconds(const struct timespec *time) {
        return time->tv_sec * SECOND + time->tv_nsec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond,
                           pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
        const int64_t slice = SECOND / 50;
        struct timespec now, end;
        int64_t left;
        int error;

        /* glibc's note of the clock that the condition was made with. */
        if (cond->__data.__wrefs & 2)
                return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC,
                                              until);
        do {
                clock_gettime(CLOCK_REALTIME, &now);
                left = nanoseconds(until) - nanoseconds(&now);
                if (left <= 0)
                        return ETIMEDOUT;
                left = left < slice ? left : slice;
                clock_gettime(CLOCK_MONOTONIC, &end);
                left += nanoseconds(&end);
                end.tv_sec  = left / SECOND;
                end.tv_nsec = left % SECOND;
                error = pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC,
                                               &end);
        } while (error == ETIMEDOUT);
        return error;
}

/* glibc has one condition under two names, and this one does not call that one. */
int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex,
                  const struct timespec *restrict until) {
        int error = pthread_cond_timedwait((pthread_cond_t *)cond,
                                           (pthread_mutex_t *)mutex, until);

        if (error == ETIMEDOUT)
                return thrd_timedout;
        return error ? thrd_error : thrd_success;
}
