/*
 * Any Kafka request over librdkafka's own connections.
 *
 * librdkafka resolves, connects, encrypts, authenticates and reconnects. This
 * file sends a request body that the caller has encoded, and returns the body
 * of the response without a copy. The functions used are private to
 * librdkafka: Cargo.toml pins its version, and their signatures have been the
 * same from librdkafka 1.9 to 2.15.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "rd.h"
#include "rdkafka_int.h"
#include "rdkafka_broker.h"
#include "rdkafka_buf.h"
#include "rdkafka_cgrp.h"
#include "rdkafka_header.h"
#include "rdkafka_metadata.h"
#include "rdkafka_proto.h"
#include "rdkafka_queue.h"

/* Receives a response: `reply` is NULL on error, else owned by the callback, and `body` points into it. */
typedef void (*ku_response_callback_t)(void *arrivals, uint64_t id, int error,
                           void *reply, const void *body, size_t size);

/* The length of a header's name, which may contain a NUL; rd_kafka_header_get_all returns only its start. */
size_t ku_header_name_size(const char *name) {
        const char *header = name - offsetof(rd_kafka_header_t, rkhdr_name);

        return ((const rd_kafka_header_t *)header)->rkhdr_name_size;
}

struct ku_pending {
        ku_response_callback_t on_response;
        void *arrivals;
        uint64_t id;
};

static void ku_answered(rd_kafka_t *rk, rd_kafka_broker_t *rkb,
                        rd_kafka_resp_err_t err, rd_kafka_buf_t *reply,
                        rd_kafka_buf_t *request, void *opaque) {
        struct ku_pending pending = *(struct ku_pending *)opaque;
        size_t size;
        const void *body;

        (void)rk;
        (void)rkb;
        free(opaque);
        /* The queue and its arrivals are gone; this may be any thread. */
        if (err == RD_KAFKA_RESP_ERR__DESTROY)
                return;
        /* A request that gets no response was sent. */
        if (!err && (request->rkbuf_flags & RD_KAFKA_OP_F_NO_RESPONSE)) {
                pending.on_response(pending.arrivals, pending.id, 0, NULL,
                                    NULL, 0);
                return;
        }
        if (err || !reply) {
                pending.on_response(pending.arrivals, pending.id,
                             err ? (int)err : RD_KAFKA_RESP_ERR__TRANSPORT,
                             NULL, NULL, 0);
                return;
        }
        size = rd_slice_remains(&reply->rkbuf_reader);
        /* librdkafka receives a body into one segment, so nothing is copied. */
        body = rd_slice_ensure_contig(&reply->rkbuf_reader, size);
        if (size > 0 && !body) {
                pending.on_response(pending.arrivals, pending.id,
                             RD_KAFKA_RESP_ERR__BAD_MSG, NULL, NULL, 0);
                return;
        }
        rd_kafka_buf_keep(reply);
        pending.on_response(pending.arrivals, pending.id, 0, reply, body, size);
}

void *ku_queue_new(rd_kafka_t *rk) {
        return rd_kafka_q_new(rk);
}

void ku_queue_destroy(void *queue) {
        rd_kafka_q_destroy_owner(queue);
}

/* Calls the callbacks of the responses received, waiting at most `timeout_ms` for the first; returns how many. */
int ku_queue_serve(void *queue, int timeout_ms) {
        return rd_kafka_q_serve(queue, timeout_ms, 0 /* all */,
                                RD_KAFKA_Q_CB_CALLBACK, NULL, NULL);
}

/* Another reference to a queue, for ku_queue_wake(); ku_queue_release() gives it back. */
void *ku_queue_keep(void *queue) {
        return rd_kafka_q_keep((rd_kafka_q_t *)queue);
}

void ku_queue_release(void *queue) {
        rd_kafka_q_destroy((rd_kafka_q_t *)queue);
}

/* Ends the wait of ku_queue_serve(), or the next one; any thread may call it. */
void ku_queue_wake(void *queue) {
        rd_kafka_q_yield((rd_kafka_q_t *)queue);
}

/*
 * Starts again from the bootstrap list if no broker is left, which costs two
 * atomic reads otherwise.
 *
 * The metadata of a broker that the controller has just fenced names topics and
 * no brokers. librdkafka 2.12.1 then forgets all brokers, and asks nobody again:
 * the answer itself stops the timer of rd_kafka_rebootstrap(), which waits for
 * that timer from then on.
 */
void ku_keep_brokers(rd_kafka_t *rk) {
        if (rd_atomic32_get(&rk->rk_broker_cnt) >
                rd_atomic32_get(&rk->rk_logical_broker_cnt) ||
            rd_kafka_terminating(rk) || !rk->rk_conf.brokerlist)
                return;
        rd_kafka_brokers_add0(rk, rk->rk_conf.brokerlist, rd_true);
        rd_kafka_rdlock(rk);
        rd_kafka_connect_any(rk, "no broker left");
        rd_kafka_rdunlock(rk);
}

/* Whether a broker comes only from the bootstrap list. */
static int ku_is_bootstrap(rd_kafka_broker_t *rkb, void *opaque) {
        (void)opaque;
        return rkb->rkb_source != RD_KAFKA_LEARNED;
}

/*
 * Any broker that is up, or NULL; the caller releases it.
 *
 * As soon as librdkafka knows the brokers' ids, it closes the connections to
 * the bootstrap list, and requests in flight there are lost.
 */
void *ku_broker_any(rd_kafka_t *rk) {
        rd_kafka_broker_t *rkb;
        int (*filter)(rd_kafka_broker_t *, void *) = NULL;
        ku_keep_brokers(rk);
        rd_kafka_rdlock(rk);
        TAILQ_FOREACH(rkb, &rk->rk_brokers, rkb_link) {
                if (rkb->rkb_source == RD_KAFKA_LEARNED)
                        filter = ku_is_bootstrap;
        }
        rkb = rd_kafka_broker_any_up(rk, NULL, filter, NULL, "asking");
        rd_kafka_rdunlock(rk);
        return rkb;
}

/* The broker of this id if it is up, else NULL, and librdkafka connects to it; the caller releases it. */
void *ku_broker_up(rd_kafka_t *rk, int32_t id) {
        rd_kafka_broker_t *rkb;
        rd_kafka_rdlock(rk);
        rkb = rd_kafka_broker_find_by_nodeid0(rk, id, RD_KAFKA_BROKER_STATE_UP,
                                              rd_true);
        rd_kafka_rdunlock(rk);
        return rkb;
}

/* Whether librdkafka knows a broker of this id. */
int ku_broker_is_known(rd_kafka_t *rk, int32_t id) {
        rd_kafka_broker_t *rkb;
        rd_kafka_rdlock(rk);
        rkb = rd_kafka_broker_find_by_nodeid(rk, id);
        rd_kafka_rdunlock(rk);
        if (!rkb)
                return 0;
        rd_kafka_broker_destroy(rkb);
        return 1;
}

/* The brokers of the metadata, as bits: 1 there are some, 2 one is up, 4 one is
 * being connected to. */
int ku_learned_brokers(rd_kafka_t *rk) {
        rd_kafka_broker_t *rkb;
        int known = 0;

        rd_kafka_rdlock(rk);
        TAILQ_FOREACH(rkb, &rk->rk_brokers, rkb_link) {
                if (rkb->rkb_source != RD_KAFKA_LEARNED)
                        continue;
                switch (rd_kafka_broker_get_state(rkb)) {
                case RD_KAFKA_BROKER_STATE_UP:
                        known |= 1 | 2;
                        break;
                case RD_KAFKA_BROKER_STATE_DOWN:
                case RD_KAFKA_BROKER_STATE_TRY_CONNECT:
                        known |= 1;
                        break;
                default:
                        known |= 1 | 4;
                }
        }
        rd_kafka_rdunlock(rk);
        return known;
}

void ku_broker_release(void *broker) {
        rd_kafka_broker_destroy((rd_kafka_broker_t *)broker);
}

int32_t ku_broker_id(void *broker) {
        return rd_kafka_broker_id(broker);
}

const char *ku_broker_name(void *broker) {
        return rd_kafka_broker_name(broker);
}

/* The newest version of an API within the range that the broker supports, or -1. */
int16_t ku_broker_version(void *broker, int16_t api, int16_t lowest,
                          int16_t newest) {
        return rd_kafka_broker_ApiVersion_supported(broker, api, lowest, newest,
                                                    NULL);
}

/* Changes with every change of any broker's state. */
int ku_state_version(rd_kafka_t *rk) {
        return rd_kafka_brokers_get_state_version(rk);
}

/* Waits at most `timeout_ms` until the state differs from `seen`. */
void ku_state_wait(rd_kafka_t *rk, int seen, int timeout_ms) {
        (void)rd_kafka_brokers_wait_state_change(rk, seen, timeout_ms);
}

/* Makes librdkafka refresh its list of brokers. */
void ku_refresh_brokers(rd_kafka_t *rk) {
        (void)rd_kafka_metadata_refresh_brokers(rk, NULL, "unknown broker");
}

/* A part of a request's body. */
struct ku_part {
        const void *bytes;
        size_t size;
};

/* Larger parts are sent from where they are. */
#define KU_COPIED_MAX 4096

/*
 * Connects a group's member to where its coordinator is now, after a change of a broker's state.
 *
 * librdkafka 2.12.1 keeps the address under which it found the coordinator
 * until the coordinator has another id (rd_kafka_cgrp_coord_update). A stale id,
 * read while librdkafka changes it, is replaced by librdkafka itself.
 */
void ku_follow_coordinator(rd_kafka_t *rk) {
        rd_kafka_broker_t *rkb;
        if (!rk->rk_cgrp)
                return;
        rd_kafka_rdlock(rk);
        rkb = rd_kafka_broker_find_by_nodeid(rk, rk->rk_cgrp->rkcg_coord_id);
        rd_kafka_rdunlock(rk);
        if (!rkb)
                return;
        rd_kafka_broker_set_nodename(rk->rk_cgrp->rkcg_coord, rkb);
        rd_kafka_broker_destroy(rkb);
}

/*
 * Sends a request; ku_queue_serve() calls `on_response` once, unless the queue
 * is destroyed before. Returns 0 if out of memory.
 *
 * The parts are what follows the request header. In a flexible version they end
 * with the empty tag list of the outermost structure, which librdkafka writes
 * itself: the caller leaves that byte out.
 *
 * If it returns 1, `release(owner)` is called once, on any thread, when the
 * parts are not used any more.
 */
int ku_send(void *broker, void *queue, int16_t api, int16_t version,
            int is_flexible, const struct ku_part *parts, size_t part_count,
            void *owner, void (*release)(void *), int timeout_ms,
            int may_wait_at_broker, int has_response,
            ku_response_callback_t on_response, void *arrivals, uint64_t id) {
        rd_kafka_broker_t *rkb = broker;
        rd_kafka_buf_t *rkbuf;
        struct ku_pending *pending = malloc(sizeof(*pending));
        size_t copied = 0, i;
        int is_shared = 0;

        if (!pending)
                return 0;
        pending->on_response = on_response;
        pending->arrivals    = arrivals;
        pending->id          = id;

        for (i = 0; i < part_count; i++)
                if (parts[i].size <= KU_COPIED_MAX)
                        copied += parts[i].size;
        rkbuf = rd_kafka_buf_new_flexver_request(rkb, api, 1, copied,
                                                 is_flexible ? rd_true
                                                             : rd_false);
        for (i = 0; i < part_count; i++) {
                if (parts[i].size <= KU_COPIED_MAX) {
                        rd_kafka_buf_write(rkbuf, parts[i].bytes,
                                           parts[i].size);
                } else {
                        rd_kafka_buf_push(rkbuf, parts[i].bytes, parts[i].size,
                                          NULL);
                        is_shared = 1;
                }
        }
        /* An empty part that frees the owner along with the buffer. */
        if (is_shared)
                rd_kafka_buf_push(rkbuf, owner, 0, release);
        else
                release(owner);
        rd_kafka_buf_ApiVersion_set(rkbuf, version, 0);
        /* The number of the API is in the header by now. Here it is the index
         * of a counter, of which librdkafka has none for APIs that it does not
         * know itself. */
        if (api >= RD_KAFKAP__NUM)
                rkbuf->rkbuf_reqhdr.ApiKey = RD_KAFKAP_DescribeGroups;
        /* The caller decides whether to retry. */
        rkbuf->rkbuf_max_retries = RD_KAFKA_REQUEST_NO_RETRIES;
        rd_kafka_buf_set_abs_timeout_force(rkbuf, timeout_ms, 0);
        if (may_wait_at_broker)
                rkbuf->rkbuf_flags |= RD_KAFKA_OP_F_BLOCKING;
        if (!has_response)
                rkbuf->rkbuf_flags |= RD_KAFKA_OP_F_NO_RESPONSE;
        rd_kafka_broker_buf_enq_replyq(rkb, rkbuf, RD_KAFKA_REPLYQ(queue, 0),
                                       ku_answered, pending);
        return 1;
}

void ku_reply_release(void *reply) {
        rd_kafka_buf_destroy((rd_kafka_buf_t *)reply);
}

/*
 * Waiting by the monotonic clock.
 *
 * librdkafka's timed waits end at a wall-clock time. When an operator sets that
 * clock back by an hour, every thread that waits at that moment waits an hour
 * longer, also for timers, reconnects and heartbeats. The linker redirects the
 * two functions of threads.h that librdkafka uses to these.
 */
int __wrap_cnd_init(cnd_t *cond);
int __wrap_cnd_timedwait(cnd_t *cond, mtx_t *mutex,
                         const struct timespec *until);

/* A condition is the same in both headers: glibc and musl cast as is done here,
 * and so does librdkafka's own tinycthread, which is used where there is no
 * threads.h. */
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "the same condition");
_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "the same mutex");

int __wrap_cnd_init(cnd_t *cond) {
        pthread_condattr_t steady;
        int failed;

        if (pthread_condattr_init(&steady))
                return thrd_error;
        failed = pthread_condattr_setclock(&steady, CLOCK_MONOTONIC) ||
                 pthread_cond_init((pthread_cond_t *)cond, &steady);
        pthread_condattr_destroy(&steady);
        return failed ? thrd_error : thrd_success;
}

/* `until` is a wall-clock time that cnd_timedwait_ms, librdkafka's only caller,
 * has just computed. It measures the remaining time by the monotonic clock and
 * waits again after a shorter wait. So one second at a time is enough, and a
 * clock that is set in between costs no more than that. */
int __wrap_cnd_timedwait(cnd_t *cond, mtx_t *mutex,
                         const struct timespec *until) {
        const int64_t second = 1000000000;
        struct timespec now, end;
        int64_t left;
        int error;

        /* musl's own cnd_wait, which a static program calls through this too. */
        if (!until) {
                error = pthread_cond_wait((pthread_cond_t *)cond,
                                          (pthread_mutex_t *)mutex);
                return error ? thrd_error : thrd_success;
        }
        clock_gettime(CLOCK_REALTIME, &now);
        left = (until->tv_sec - now.tv_sec) * second + until->tv_nsec -
               now.tv_nsec;
        left = RD_MAX(0, RD_MIN(left, second));
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_nsec += left % second;
        end.tv_sec += left / second + end.tv_nsec / second;
        end.tv_nsec %= second;
        error = pthread_cond_timedwait((pthread_cond_t *)cond,
                                       (pthread_mutex_t *)mutex, &end);
        if (error == ETIMEDOUT)
                return thrd_timedout;
        return error ? thrd_error : thrd_success;
}
