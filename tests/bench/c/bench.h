/* What the bench's tools share: clock, errors, percentiles, HMAC over a key that is prepared once. */
#ifndef BENCH_H
#define BENCH_H

#define OPENSSL_SUPPRESS_DEPRECATED /* the digests' own calls: EVP's cost more than a short digest does */
#include <errno.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#define UNUSED __attribute__((unused))
#define SECOND 1000000000ull
#define MILLISECOND 1000000ull

UNUSED static void die(const char *format, ...) {
    int number = errno;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (%s)\n", strerror(number));
    exit(1);
}

UNUSED static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) die("no memory for %zu x %zu octets", count, size);
    return memory;
}

/* Monotonic nanoseconds. */
UNUSED static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static volatile sig_atomic_t stopping;
static void stop(int signal) {
    (void)signal;
    stopping = 1;
}
UNUSED static void stop_on_signals(void) {
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGPIPE, SIG_IGN);
}

/* Fresh octets from the kernel, taken in bulk: a request authenticator is never one seen before. */
UNUSED static void fresh(uint8_t *out, size_t length) {
    static uint8_t pool[4096];
    static size_t left;
    if (left < length) {
        for (size_t got = 0; got < sizeof pool;) {
            ssize_t n = getrandom(pool + got, sizeof pool - got, 0);
            if (n < 0) die("getrandom");
            got += (size_t)n;
        }
        left = sizeof pool;
    }
    left -= length;
    memcpy(out, pool + left, length);
}

/* Processor time of this process so far, in microseconds. */
UNUSED static double cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Prints "p50_ms": …, … of latencies in microseconds, which it sorts. */
UNUSED static void print_percentiles(uint32_t *us, size_t count) {
    static const struct {
        const char *name;
        double part;
    } wanted[] = {{"p50_ms", .5}, {"p90_ms", .9}, {"p99_ms", .99}, {"max_ms", 1}};
    qsort(us, count, sizeof *us, ascending);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        double value = count ? us[(size_t)(wanted[i].part * (double)(count - 1))] / 1000.0 : 0;
        printf("\"%s\": %.3f, ", wanted[i].name, value);
    }
}

/* HMAC (RFC 2104) with both halves of the key already digested. */
struct hmac_md5 {
    MD5_CTX inner, outer;
};
struct hmac_sha512 {
    SHA512_CTX inner, outer;
};

#define DEFINE_HMAC(NAME, CONTEXT, DIGEST, BLOCK, LENGTH)                                             \
    UNUSED static void NAME##_key(struct NAME *h, const void *key, size_t length) {                   \
        uint8_t padded[BLOCK] = {0}, pad[BLOCK];                                                      \
        CONTEXT digest;                                                                               \
        if (length > BLOCK) {                                                                         \
            DIGEST##_Init(&digest);                                                                   \
            DIGEST##_Update(&digest, key, length);                                                    \
            DIGEST##_Final(padded, &digest);                                                          \
        } else {                                                                                      \
            memcpy(padded, key, length);                                                              \
        }                                                                                             \
        for (size_t i = 0; i < BLOCK; i++) pad[i] = padded[i] ^ 0x36;                                 \
        DIGEST##_Init(&h->inner);                                                                     \
        DIGEST##_Update(&h->inner, pad, BLOCK);                                                       \
        for (size_t i = 0; i < BLOCK; i++) pad[i] = padded[i] ^ 0x5c;                                 \
        DIGEST##_Init(&h->outer);                                                                     \
        DIGEST##_Update(&h->outer, pad, BLOCK);                                                       \
    }                                                                                                 \
    UNUSED static void NAME(const struct NAME *h, const void *octets, size_t length, uint8_t *out) {  \
        CONTEXT inner = h->inner, outer = h->outer;                                                   \
        uint8_t digest[LENGTH];                                                                       \
        DIGEST##_Update(&inner, octets, length);                                                      \
        DIGEST##_Final(digest, &inner);                                                               \
        DIGEST##_Update(&outer, digest, LENGTH);                                                      \
        DIGEST##_Final(out, &outer);                                                                  \
    }

DEFINE_HMAC(hmac_md5, MD5_CTX, MD5, 64, 16)
DEFINE_HMAC(hmac_sha512, SHA512_CTX, SHA512, 128, 64)

UNUSED static void hex(const uint8_t *octets, size_t length, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[octets[i] >> 4];
        out[2 * i + 1] = digits[octets[i] & 15];
    }
    out[2 * length] = 0;
}

#endif
