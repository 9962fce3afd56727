/* cloudsink: the second-factor service, Auth API v2 over TLS 1.3, that verifies every signature and answers at once
 * or after a delay of the bench's choosing.
 *
 *   cloudsink -p PORT -c chain.pem -k key.pem [-i ikey] [-s skey] [-u]
 *
 *   -u  takes unsigned calls with form bodies too, for peers that can't sign
 *
 * preauth offers a phone; auth with async gives a txid whose push is decided after the delay; auth_status is held until
 * then. Users named deny… deny their push, passcode 123456 is right. One thread, kept connections.
 * For the bench itself: GET /bench/counters, GET /bench/delay?ms=N.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 1 << 16, INPUT = 16384, OUTPUT = 16384, BATCH = 256, MOST_HEADERS = 64, DIGEST_HEX = 129 };

struct connection {
    SSL *ssl;
    uint32_t generation; /* tells a held answer that its connection is another one now */
    int shaken, wants_write;
    size_t got, pending;
    char *input, *output;
};

struct text {
    const char *at;
    size_t length;
};

struct request {
    struct text method, path, query, body;
    struct {
        struct text name, value;
    } headers[MOST_HEADERS];
    int header_count;
};

/* An auth_status, or a synchronous auth, that waits for its user. A binary heap by time. */
struct held {
    uint64_t due;
    int fd, denied;
    uint32_t generation;
};

static struct connection *connections[MOST_CONNECTIONS];
static struct held heap[MOST_CONNECTIONS];
static size_t held_count;
static struct {
    uint64_t ping, check, preauth, push, passcode, status, waited, signature_right, signature_wrong, malformed, unknown;
    uint64_t connections, resumed, open, most_open, most_held;
} count;
static uint64_t delay, serial;
static uint32_t generations;
static int epoll, unsigned_too;
static SSL_CTX *tls;
static struct hmac_sha512 key;
static const char *ikey = "DIBENCHBENCHBENCHBEN", *skey = "benchbenchbenchbenchbenchbenchbenchbench";

#define OK(response) "{\"stat\": \"OK\", \"response\": " response "}"
#define FAIL(code, message) "{\"stat\": \"FAIL\", \"code\": " code ", \"message\": \"" message "\"}"
static const char PREAUTH[] =
    OK("{\"result\": \"auth\", \"status_msg\": \"Account is active\", \"devices\": [{\"device\": \"DPBENCHBENCHBENCHBEN\", "
       "\"type\": \"phone\", \"name\": \"\", \"display_name\": \"iOS (XXX-XXX-0100)\", \"number\": \"XXX-XXX-0100\", "
       "\"capabilities\": [\"auto\", \"push\", \"sms\", \"phone\", \"mobile_otp\"], \"sms_nextcode\": \"1\"}]}");
static const char ALLOW[] =
    OK("{\"result\": \"allow\", \"status\": \"allow\", \"status_msg\": \"Success. Logging you in...\"}");
static const char DENY[] = OK("{\"result\": \"deny\", \"status\": \"deny\", \"status_msg\": \"Login request denied.\"}");
static const char BAD_REQUEST[] = FAIL("40002", "Invalid request parameters");
static const char BAD_SIGNATURE[] = FAIL("40103", "Invalid signature in request credentials");
static const char NOT_FOUND[] = FAIL("40401", "Resource not found");

/* ---- text */

static struct text text_of(const char *from, const char *to) { return (struct text){from, (size_t)(to - from)}; }
static int is(struct text t, const char *other) { return t.length == strlen(other) && !memcmp(t.at, other, t.length); }
static int is_named(struct text t, const char *name) {
    return t.length == strlen(name) && !strncasecmp(t.at, name, t.length);
}

/* Where the value of a name begins in a JSON object (flat, no escapes) or a form; NULL when it isn't there. */
static const char *find_value(struct text body, const char *name, int json) {
    char wanted[64];
    size_t length = (size_t)snprintf(wanted, sizeof wanted, json ? "\"%s\"" : "%s=", name);
    const char *end = body.at + body.length, *at = body.at;
    while ((at = memmem(at, (size_t)(end - at), wanted, length))) {
        int begins = json || at == body.at || at[-1] == '&';
        at += length;
        while (json && at < end && *at == ' ') at++;
        if (begins && (!json || (at < end && *at++ == ':'))) return at;
    }
    return NULL;
}

/* Copies the value of a name; "" when it isn't there. */
static void field(struct text body, const char *name, char *out, size_t size) {
    int json = body.length && body.at[0] == '{';
    const char *end = body.at + body.length, *at = find_value(body, name, json);
    size_t n = 0;
    while (at && json && at < end && strchr("\" ", *at)) at++;
    while (at && at < end && !strchr(json ? "\",}" : "&", *at) && n + 1 < size) out[n++] = *at++;
    out[n] = 0;
}

/* ---- one HTTP/1.1 request; 1: read, 0: not all here yet, -1: malformed */

static int read_request(char *input, size_t got, struct request *r, size_t *used) {
    char *end = memmem(input, got, "\r\n\r\n", 4), *line = input, *stop;
    if (!end) return 0;
    size_t head = (size_t)(end - input) + 4, body = 0;
    stop = memmem(line, head, "\r\n", 2);
    char *first = memchr(line, ' ', (size_t)(stop - line));
    char *second = first ? memchr(first + 1, ' ', (size_t)(stop - first - 1)) : NULL;
    if (!second) return -1;
    r->method = text_of(line, first);
    char *mark = memchr(first, '?', (size_t)(second - first));
    r->path = text_of(first + 1, mark ? mark : second);
    r->query = mark ? text_of(mark + 1, second) : text_of(second, second);
    r->header_count = 0;
    for (line = stop + 2; line < end; line = stop + 2) {
        stop = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        char *colon = memchr(line, ':', (size_t)(stop - line)), *value = colon + 1;
        if (!colon || r->header_count == MOST_HEADERS) return -1;
        while (value < stop && *value == ' ') value++;
        r->headers[r->header_count].name = text_of(line, colon);
        r->headers[r->header_count].value = text_of(value, stop);
        if (is_named(r->headers[r->header_count++].name, "content-length")) body = (size_t)atoi(value);
    }
    if (got < head + body) return 0;
    r->body = (struct text){input + head, body};
    *used = head + body;
    return 1;
}

static struct text header(const struct request *r, const char *name) {
    for (int i = 0; i < r->header_count; i++)
        if (is_named(r->headers[i].name, name)) return r->headers[i].value;
    return (struct text){"", 0};
}

/* ---- signatures, version 5 */

static void digest_hex(const void *octets, size_t length, char *out) {
    uint8_t digest[64];
    SHA512(octets, length, digest);
    hex(digest, sizeof digest, out);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The digest over the X-Duo-* headers: lower-case names in order, each with its value, NUL between all. */
static void digest_own_headers(const struct request *r, char *out) {
    char lines[8][256], *order[8], joined[8 * 256];
    size_t found = 0, length = 0;
    for (int i = 0; i < r->header_count && found < 8; i++) {
        struct text name = r->headers[i].name, value = r->headers[i].value;
        if (name.length < 6 || strncasecmp(name.at, "x-duo-", 6) || name.length + value.length > 250) continue;
        for (size_t k = 0; k < name.length; k++) lines[found][k] = (char)tolower(name.at[k]);
        lines[found][name.length] = 0;
        memcpy(lines[found] + name.length + 1, value.at, value.length);
        lines[found][name.length + 1 + value.length] = 0;
        order[found] = lines[found];
        found++;
    }
    qsort(order, found, sizeof *order, by_name);
    for (size_t i = 0; i < found; i++) {
        size_t name = strlen(order[i]), whole = name + 1 + strlen(order[i] + name + 1);
        if (i) joined[length++] = 0;
        memcpy(joined + length, order[i], whole);
        length += whole;
    }
    digest_hex(joined, length, out);
}

/* The query has to come in canonical form already: the bench's own parameters need no escapes. */
static int is_signed(const struct request *r) {
    char body[DIGEST_HEX], own[DIGEST_HEX], right[DIGEST_HEX], canonical[4096], given[512];
    struct text date = header(r, "x-duo-date"), host = header(r, "host"), credentials = header(r, "authorization");
    if (!date.length) date = header(r, "date");
    const char *colon = memchr(host.at, ':', host.length);
    if (colon) host.length = (size_t)(colon - host.at);
    if (!date.length || credentials.length < 7 || credentials.length > 500 || strncasecmp(credentials.at, "basic ", 6)) return 0;
    digest_hex(r->body.at, r->body.length, body);
    digest_own_headers(r, own);
    int length = snprintf(canonical, sizeof canonical, "%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%s\n%s", (int)date.length, date.at,
                          (int)r->method.length, r->method.at, (int)host.length, host.at, (int)r->path.length,
                          r->path.at, (int)r->query.length, r->query.at, body, own);
    if (length < 0 || (size_t)length >= sizeof canonical) return 0;
    uint8_t mac[64];
    hmac_sha512(&key, canonical, (size_t)length, mac);
    hex(mac, sizeof mac, right);
    int decoded = EVP_DecodeBlock((uint8_t *)given, (const uint8_t *)credentials.at + 6, (int)credentials.length - 6);
    size_t name = strlen(ikey);
    return decoded >= (int)(name + 1 + 128) && !memcmp(given, ikey, name) && given[name] == ':' &&
           !CRYPTO_memcmp(given + name + 1, right, 128);
}

/* ---- connections */

static void close_connection(int fd) {
    struct connection *c = connections[fd];
    connections[fd] = NULL;
    SSL_set_quiet_shutdown(c->ssl, 1);
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(fd);
    free(c->input);
    free(c->output);
    free(c);
    count.open--;
}

static void watch(int fd, int wants_write) {
    struct connection *c = connections[fd];
    if (c->wants_write == wants_write) return;
    c->wants_write = wants_write;
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

/* -1: the connection is broken. */
static int flush(int fd) {
    struct connection *c = connections[fd];
    while (c->pending) {
        ERR_clear_error();
        int n = SSL_write(c->ssl, c->output, (int)c->pending);
        if (n <= 0) {
            if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_WRITE) return -1;
            watch(fd, 1);
            return 0;
        }
        c->pending -= (size_t)n;
        memmove(c->output, c->output + n, c->pending);
    }
    free(c->output);
    c->output = NULL;
    watch(fd, 0);
    return 0;
}

static const char *date_now(void) {
    static char text[64];
    static time_t made;
    time_t time_now = time(NULL);
    if (time_now != made) {
        struct tm t;
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&time_now, &t));
        made = time_now;
    }
    return text;
}

static int reply(int fd, const char *status, const char *body) {
    struct connection *c = connections[fd];
    size_t length = strlen(body);
    if (!c->output) c->output = allocate(1, OUTPUT);
    if (c->pending + length + 400 > OUTPUT) return -1;
    c->pending += (size_t)snprintf(c->output + c->pending, OUTPUT - c->pending,
                                   "HTTP/1.1 %s\r\nServer: bench\r\nDate: %s\r\nContent-Type: application/json\r\n"
                                   "Content-Length: %zu\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n"
                                   "Pragma: no-cache\r\nStrict-Transport-Security: max-age=31536000\r\n\r\n%s",
                                   status, date_now(), length, body);
    return flush(fd);
}

/* ---- waiting for users */

static void hold(struct held h) {
    size_t i = held_count++;
    if (held_count > count.most_held) count.most_held = held_count;
    for (; i && heap[(i - 1) / 2].due > h.due; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = h;
}

static struct held unhold(void) {
    struct held first = heap[0], last = heap[--held_count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < held_count) {
        if (child + 1 < held_count && heap[child + 1].due < heap[child].due) child++;
        if (last.due <= heap[child].due) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

static int decide(int fd, uint64_t due, int denied) {
    if (due <= now()) return reply(fd, "200 OK", denied ? DENY : ALLOW);
    if (held_count == MOST_CONNECTIONS) return -1;
    count.waited++;
    hold((struct held){.due = due, .fd = fd, .denied = denied, .generation = connections[fd]->generation});
    return 0;
}

static void answer_due(void) {
    for (uint64_t time = now(); held_count && heap[0].due <= time;) {
        struct held h = unhold();
        struct connection *c = connections[h.fd];
        if (c && c->generation == h.generation && reply(h.fd, "200 OK", h.denied ? DENY : ALLOW) < 0)
            close_connection(h.fd);
    }
}

/* ---- the calls */

static int serve_auth(int fd, const struct request *r) {
    char user[256], factor[16], asynchronous[4], passcode[16], body[256];
    field(r->body, "username", user, sizeof user);
    field(r->body, "factor", factor, sizeof factor);
    field(r->body, "async", asynchronous, sizeof asynchronous);
    if (!*user || !*factor) return reply(fd, "400 Bad Request", BAD_REQUEST);
    if (!strcmp(factor, "passcode")) {
        count.passcode++;
        field(r->body, "passcode", passcode, sizeof passcode);
        return decide(fd, 0, strcmp(passcode, "123456") != 0);
    }
    int denied = !strncmp(user, "deny", 4);
    uint64_t due = delay ? now() + delay : 0;
    count.push++;
    if (strcmp(asynchronous, "1")) return decide(fd, due, denied);
    /* The txid says all that auth_status has to know. */
    snprintf(body, sizeof body, OK("{\"txid\": \"%016lx-%c-%08lx\"}"), due, denied ? 'd' : 'a', ++serial);
    return reply(fd, "200 OK", body);
}

static int serve_status(int fd, const struct request *r) {
    char txid[64], verdict;
    uint64_t due;
    field(r->query.length ? r->query : r->body, "txid", txid, sizeof txid);
    count.status++;
    if (unsigned_too && !strcmp(txid, "bench")) return decide(fd, 0, 0);
    if (sscanf(txid, "%16lx-%c-", &due, &verdict) != 2) return reply(fd, "400 Bad Request", BAD_REQUEST);
    return decide(fd, due, verdict != 'a');
}

static int serve_counters(int fd) {
    char body[1024];
    snprintf(body, sizeof body,
             "{\"ping\": %lu, \"check\": %lu, \"preauth\": %lu, \"push\": %lu, \"passcode\": %lu, \"status\": %lu, "
             "\"waited\": %lu, \"signature_right\": %lu, \"signature_wrong\": %lu, \"malformed\": %lu, "
             "\"unknown\": %lu, \"connections\": %lu, \"resumed\": %lu, \"open\": %lu, \"most_open\": %lu, "
             "\"held\": %zu, \"most_held\": %lu}",
             count.ping, count.check, count.preauth, count.push, count.passcode, count.status, count.waited,
             count.signature_right, count.signature_wrong, count.malformed, count.unknown, count.connections,
             count.resumed, count.open, count.most_open, held_count, count.most_held);
    return reply(fd, "200 OK", body);
}

static int serve_bench(int fd, const struct request *r) {
    char ms[16];
    if (is(r->path, "/bench/counters")) return serve_counters(fd);
    field(r->query, "ms", ms, sizeof ms);
    delay = (uint64_t)atol(ms) * MILLISECOND;
    return reply(fd, "200 OK", "{}");
}

static int serve(int fd, const struct request *r) {
    char body[128];
    if (r->path.length >= 7 && !memcmp(r->path.at, "/bench/", 7)) return serve_bench(fd, r);
    snprintf(body, sizeof body, OK("{\"time\": %ld}"), (long)time(NULL));
    if (is(r->path, "/auth/v2/ping")) return count.ping++, reply(fd, "200 OK", body);
    if (is_signed(r)) {
        count.signature_right++;
    } else if (!unsigned_too) {
        count.signature_wrong++;
        return reply(fd, "401 Unauthorized", BAD_SIGNATURE);
    }
    if (is(r->path, "/auth/v2/check")) return count.check++, reply(fd, "200 OK", body);
    if (is(r->path, "/auth/v2/preauth")) return count.preauth++, reply(fd, "200 OK", PREAUTH);
    if (is(r->path, "/auth/v2/auth")) return serve_auth(fd, r);
    if (is(r->path, "/auth/v2/auth_status")) return serve_status(fd, r);
    return count.unknown++, reply(fd, "404 Not Found", NOT_FOUND);
}

/* ---- the loop */

/* -1: the connection ends. */
static int serve_all(int fd) {
    struct connection *c = connections[fd];
    struct request request;
    size_t used;
    int read = 0;
    while (c->got && (read = read_request(c->input, c->got, &request, &used)) == 1) {
        if (serve(fd, &request) < 0) return -1;
        c->got -= used;
        memmove(c->input, c->input + used, c->got);
    }
    if (read < 0 || c->got == INPUT) {
        count.malformed++;
        return -1;
    }
    return 0;
}

/* 1: done, 0: needs more, -1: failed. */
static int shake_hands(struct connection *c) {
    ERR_clear_error();
    int result = SSL_accept(c->ssl);
    if (result <= 0) {
        int error = SSL_get_error(c->ssl, result);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
        return -1;
    }
    c->shaken = 1;
    count.resumed += (uint64_t)SSL_session_reused(c->ssl);
    return 1;
}

static int read_all(int fd) {
    struct connection *c = connections[fd];
    if (!c->shaken) {
        int shaken = shake_hands(c);
        if (shaken <= 0) return shaken;
    }
    for (;;) {
        if (!c->input) c->input = allocate(1, INPUT);
        ERR_clear_error();
        int n = SSL_read(c->ssl, c->input + c->got, (int)(INPUT - c->got));
        if (n <= 0) {
            if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ) return -1;
            break;
        }
        c->got += (size_t)n;
        if (serve_all(fd) < 0) return -1;
    }
    if (!c->got) {
        free(c->input);
        c->input = NULL;
    }
    return 0;
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MOST_CONNECTIONS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct connection *c = connections[fd] = allocate(1, sizeof *c);
        c->generation = ++generations;
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, fd);
        SSL_set_accept_state(c->ssl);
        count.connections++;
        if (++count.open > count.most_open) count.most_open = count.open;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int milliseconds_to_wait(void) {
    if (!held_count) return 200;
    uint64_t time = now();
    if (heap[0].due <= time) return 0;
    uint64_t wait = (heap[0].due - time + MILLISECOND - 1) / MILLISECOND;
    return wait < 200 ? (int)wait : 200;
}

static void run(int listener) {
    struct epoll_event events[BATCH];
    while (!stopping) {
        int ready = epoll_wait(epoll, events, BATCH, milliseconds_to_wait());
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_all(listener);
            else if (connections[fd] && (((events[i].events & EPOLLOUT) && flush(fd) < 0) || read_all(fd) < 0))
                close_connection(fd);
        }
        answer_due();
    }
}

static void set_up_tls(const char *chain, const char *private_key) {
    tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(tls, chain) <= 0) die("%s", chain);
    if (SSL_CTX_use_PrivateKey_file(tls, private_key, SSL_FILETYPE_PEM) <= 0) die("%s", private_key);
}

int main(int argc, char **argv) {
    int letter, port = 443, one = 1;
    const char *chain = NULL, *private_key = NULL;
    while ((letter = getopt(argc, argv, "p:c:k:i:s:u")) != -1) switch (letter) {
        case 'p': port = atoi(optarg); break;
        case 'c': chain = optarg; break;
        case 'k': private_key = optarg; break;
        case 'i': ikey = optarg; break;
        case 's': skey = optarg; break;
        case 'u': unsigned_too = 1; break;
        default: exit(2);
        }
    if (!chain || !private_key) die("cloudsink: needs -c and -k");
    stop_on_signals();
    hmac_sha512_key(&key, skey, strlen(skey));
    set_up_tls(chain, private_key);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 4096)) die("port %d", port);
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    run(listener);
    return 0;
}
