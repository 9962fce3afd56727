/* direct: the work of a login with nobody in between: LDAP search and bind, then the signed calls, one after the other
 * on kept connections. It is the floor that a proxy's latency is compared with, and the sinks' first client.
 *
 *   direct -l LDAP_PORT -h HTTPS_PORT -C ca.pem [-n logins] [-k workers] [-r per_second] [-o latencies]
 *          [-b] [-P] [-w] [-W]
 *
 *   -b  no search, only the bind            -P  a passcode: preauth and auth, instead of preauth, auth and auth_status
 *   -w  wrong passwords                     -W  a wrong key: both for self-checks; what is refused is counted
 *
 * With -r latency counts from the scheduled time. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    int ldap_port, https_port, workers, bind_only, passcode, wrong_password, wrong_key;
    uint32_t logins;
    double rate;
    const char *ca, *latencies, *ikey, *skey;
} option = {.ldap_port = 389, .https_port = 443, .workers = 1, .logins = 1000,
            .ikey = "DIBENCHBENCHBENCHBEN", .skey = "benchbenchbenchbenchbenchbenchbenchbench"};

struct worker {
    pthread_t thread;
    int searching, binding; /* LDAP: the service's connection, and the one users bind on */
    uint32_t message;
    SSL *ssl;
    uint32_t done, refused_binds, refused_calls;
};

static SSL_CTX *tls;
static struct hmac_sha512 key;
static uint32_t next_login, *latency;
static uint64_t started;

static int connect_to(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("port %d", port);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* ---- LDAP: elements of less than 128 octets */

struct message {
    uint8_t octets[256];
    size_t length;
};

static void put(struct message *m, uint8_t tag, const void *value, size_t length) {
    if (length > 127) die("element of %zu octets", length);
    m->octets[m->length++] = tag;
    m->octets[m->length++] = (uint8_t)length;
    memcpy(m->octets + m->length, value, length);
    m->length += length;
}

/* Sends an operation and returns the result code of its last response, -1 when the peer is gone. */
static int ask_ldap(struct worker *w, int fd, uint8_t operation, const struct message *inner) {
    struct message whole = {.length = 0}, body = {.length = 0};
    uint32_t id = ++w->message & 0xffffff;
    uint8_t number[3] = {(uint8_t)(id >> 16 & 0x7f), (uint8_t)(id >> 8), (uint8_t)id}, input[2048];
    put(&body, 0x02, number, 3);
    put(&body, operation, inner->octets, inner->length);
    whole.octets[0] = 0x30;
    whole.octets[1] = 0x81; /* a length below 256 */
    whole.octets[2] = (uint8_t)body.length;
    memcpy(whole.octets + 3, body.octets, body.length);
    if (send(fd, whole.octets, body.length + 3, MSG_NOSIGNAL) < 0) return -1;
    for (size_t got = 0;;) {
        ssize_t n = recv(fd, input + got, sizeof input - got, 0);
        if (n <= 0) return -1;
        got += (size_t)n;
        for (size_t at = 0; got - at >= 2;) {
            size_t length = input[at + 1], header = 2;
            if (length & 0x80) {
                header += length & 0x7f;
                if (got - at < header) break;
                length = 0;
                for (size_t i = 2; i < header; i++) length = length << 8 | input[at + i];
            }
            if (got - at < header + length) break;
            uint8_t *p = input + at + header;
            p += 2 + p[1]; /* the message's id */
            if (*p == 0x61 || *p == 0x65) { /* BindResponse, SearchResultDone */
                p += p[1] & 0x80 ? 2 + (p[1] & 0x7f) : 2;
                return p[2];
            }
            at += header + length;
        }
    }
}

static int bind_as(struct worker *w, int fd, const char *dn, const char *password) {
    static const uint8_t version = 3;
    struct message m = {.length = 0};
    put(&m, 0x02, &version, 1);
    put(&m, 0x04, dn, strlen(dn));
    put(&m, 0x80, password, strlen(password));
    return ask_ldap(w, fd, 0x60, &m);
}

static int search_for(struct worker *w, int fd, const char *uid) {
    static const char base[] = "ou=people,dc=example,dc=com";
    static const uint8_t zero = 0, two = 2, never = 0;
    struct message m = {.length = 0}, filter = {.length = 0}, attributes = {.length = 0};
    put(&m, 0x04, base, sizeof base - 1);
    put(&m, 0x0a, &two, 1);   /* the whole subtree */
    put(&m, 0x0a, &zero, 1);  /* no aliases */
    put(&m, 0x02, &two, 1);   /* two entries at most: one too many is enough to know */
    put(&m, 0x02, &zero, 1);
    put(&m, 0x01, &never, 1);
    put(&filter, 0x04, "uid", 3);
    put(&filter, 0x04, uid, strlen(uid));
    put(&m, 0xa3, filter.octets, filter.length);
    put(&attributes, 0x04, "1.1", 3); /* no attributes (RFC 4511 §4.5.1.8) */
    put(&m, 0x30, attributes.octets, attributes.length);
    return ask_ldap(w, fd, 0x63, &m);
}

/* ---- the cloud */

static int read_reply(SSL *ssl, char *input, size_t size) {
    for (size_t got = 0; got + 1 < size;) {
        int n = SSL_read(ssl, input + got, (int)(size - 1 - got));
        if (n <= 0) return -1;
        input[got += (size_t)n] = 0;
        char *body = strstr(input, "\r\n\r\n"), *length = strcasestr(input, "content-length:");
        if (body && length && got >= (size_t)(body + 4 - input) + (size_t)atoi(length + 15)) return atoi(input + 9);
    }
    return -1;
}

/* Calls, signed (version 5), and returns the status; the reply is in `input`. */
static int call(struct worker *w, const char *method, const char *path, const char *query, const char *body, char *input,
                size_t size) {
    char date[64], digest[129], empty[129], canonical[1024], credentials[256], encoded[512], output[2048];
    uint8_t octets[64];
    time_t seconds = time(NULL);
    struct tm t;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S -0000", gmtime_r(&seconds, &t));
    hex(SHA512((const uint8_t *)body, strlen(body), octets), 64, digest);
    hex(SHA512((const uint8_t *)"", 0, octets), 64, empty);
    int length = snprintf(canonical, sizeof canonical, "%s\n%s\nlocalhost\n%s\n%s\n%s\n%s", date, method, path, query, digest, empty);
    hmac_sha512(&key, canonical, (size_t)length, octets);
    hex(octets, 64, digest);
    length = snprintf(credentials, sizeof credentials, "%s:%s", option.ikey, digest);
    EVP_EncodeBlock((uint8_t *)encoded, (uint8_t *)credentials, length);
    length = snprintf(output, sizeof output,
                      "%s %s%s%s HTTP/1.1\r\nHost: localhost:%d\r\nDate: %s\r\nAuthorization: Basic %s\r\n"
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                      method, path, *query ? "?" : "", query, option.https_port, date, encoded, strlen(body), body);
    if (SSL_write(w->ssl, output, length) != length) return -1;
    return read_reply(w->ssl, input, size);
}

static int is_allowed(const char *input) { return strstr(input, "\"result\": \"allow\"") != NULL; }

static int second_factor(struct worker *w, const char *user) {
    char body[256], input[4096], query[128], *txid;
    snprintf(body, sizeof body, "{\"ipaddr\":\"192.0.2.7\",\"username\":\"%s\"}", user);
    if (call(w, "POST", "/auth/v2/preauth", "", body, input, sizeof input) != 200) return 0;
    if (option.passcode) {
        snprintf(body, sizeof body, "{\"factor\":\"passcode\",\"ipaddr\":\"192.0.2.7\",\"passcode\":\"123456\",\"username\":\"%s\"}", user);
        return call(w, "POST", "/auth/v2/auth", "", body, input, sizeof input) == 200 && is_allowed(input);
    }
    snprintf(body, sizeof body, "{\"async\":\"1\",\"device\":\"auto\",\"factor\":\"auto\",\"ipaddr\":\"192.0.2.7\",\"username\":\"%s\"}", user);
    if (call(w, "POST", "/auth/v2/auth", "", body, input, sizeof input) != 200 || !(txid = strstr(input, "\"txid\": \""))) return 0;
    txid += 9;
    snprintf(query, sizeof query, "txid=%.*s", (int)strcspn(txid, "\""), txid);
    return call(w, "GET", "/auth/v2/auth_status", query, "", input, sizeof input) == 200 && is_allowed(input);
}

/* ---- workers */

static void log_in(struct worker *w, uint32_t number) {
    char user[16], dn[64], password[16];
    snprintf(user, sizeof user, "user%05u", number % 10000);
    snprintf(dn, sizeof dn, "uid=%s,ou=people,dc=example,dc=com", user);
    snprintf(password, sizeof password, "%s%05u", option.wrong_password ? "fail" : "pass", number % 10000);
    if ((!option.bind_only && search_for(w, w->searching, user) != 0) || bind_as(w, w->binding, dn, password) != 0)
        w->refused_binds++;
    else if (!second_factor(w, user))
        w->refused_calls++;
    else
        w->done++;
}

static void *work(void *argument) {
    struct worker *w = argument;
    uint32_t number;
    while ((number = __atomic_fetch_add(&next_login, 1, __ATOMIC_RELAXED)) < option.logins) {
        uint64_t began = now();
        if (option.rate > 0) {
            began = started + (uint64_t)(number * 1e9 / option.rate);
            struct timespec due = {.tv_sec = (time_t)(began / SECOND), .tv_nsec = (long)(began % SECOND)};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        }
        log_in(w, number);
        latency[number] = (uint32_t)((now() - began) / 1000);
    }
    return NULL;
}

static void connect_worker(struct worker *w) {
    w->searching = connect_to(option.ldap_port);
    w->binding = connect_to(option.ldap_port);
    if (bind_as(w, w->searching, "cn=admin,dc=example,dc=com", "adminpw") != 0) die("the service account's bind");
    w->ssl = SSL_new(tls);
    SSL_set_fd(w->ssl, connect_to(option.https_port));
    if (!SSL_set1_host(w->ssl, "localhost") || SSL_connect(w->ssl) <= 0) die("TLS to port %d", option.https_port);
}

static void report(const struct worker *workers, double cpu) {
    uint32_t done = 0, binds = 0, calls = 0;
    double seconds = (double)(now() - started) / 1e9;
    for (int i = 0; i < option.workers; i++) {
        done += workers[i].done;
        binds += workers[i].refused_binds;
        calls += workers[i].refused_calls;
    }
    if (option.latencies) {
        FILE *out = fopen(option.latencies, "wb");
        if (!out || fwrite(latency, sizeof *latency, option.logins, out) != option.logins || fclose(out)) die("%s", option.latencies);
    }
    printf("{\"logins\": %u, \"accepted\": %u, \"refused_binds\": %u, \"refused_calls\": %u, ", option.logins, done, binds, calls);
    print_percentiles(latency, option.logins);
    printf("\"seconds\": %.4f, \"per_second\": %.1f, \"cpu_us\": %.2f}\n", seconds, option.logins / seconds, cpu / option.logins);
}

static void read_options(int argc, char **argv) {
    int letter;
    while ((letter = getopt(argc, argv, "l:h:C:n:k:r:o:bPwW")) != -1) switch (letter) {
        case 'l': option.ldap_port = atoi(optarg); break;
        case 'h': option.https_port = atoi(optarg); break;
        case 'C': option.ca = optarg; break;
        case 'n': option.logins = (uint32_t)atoi(optarg); break;
        case 'k': option.workers = atoi(optarg); break;
        case 'r': option.rate = atof(optarg); break;
        case 'o': option.latencies = optarg; break;
        case 'b': option.bind_only = 1; break;
        case 'P': option.passcode = 1; break;
        case 'w': option.wrong_password = 1; break;
        case 'W': option.wrong_key = 1; break;
        default: exit(2);
        }
    if (!option.ca || option.workers < 1) die("direct: needs -C and a worker");
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    hmac_sha512_key(&key, option.skey, strlen(option.skey) - (option.wrong_key ? 1 : 0));
    tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(tls, option.ca, NULL) <= 0) die("%s", option.ca);
    latency = allocate(option.logins, sizeof *latency);
    struct worker *workers = allocate((size_t)option.workers, sizeof *workers);
    for (int i = 0; i < option.workers; i++) connect_worker(&workers[i]);
    double cpu = cpu_us();
    started = now();
    for (int i = 0; i < option.workers; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) die("thread");
    for (int i = 0; i < option.workers; i++) pthread_join(workers[i].thread, NULL);
    report(workers, cpu_us() - cpu);
    return 0;
}
