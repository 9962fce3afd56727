/* ldapload: LDAP clients (RFC 4511) that keep a server busy, and read every answer.
 *
 *   ldapload -p PORT [-s] [-c connections] [-o outstanding] [-d seconds] [-u users] [-w]
 *
 *   without -s  searches on kept connections, each of them bound: so many at a time in one write, and the next when
 *               all of them are answered
 *   -s          whole sessions: connect, bind, search, unbind, so many at a time
 *   -w          wrong passwords, for self-checks: a bind that is let in is wrong then
 *
 * Right is: the bind accepted, and then exactly the entry that was asked for and success, under the id of the question.
 * Prints one line of JSON: what was done, what was wrong, and connections that ended early.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIND = 0x60, BIND_RESPONSE = 0x61, UNBIND = 0x42, SEARCH = 0x63, ENTRY = 0x64, DONE = 0x65 };
enum { INTEGER = 0x02, OCTETS = 0x04, ENUMERATED = 0x0a, SEQUENCE = 0x30, SIMPLE = 0x80, EQUALITY = 0xa3 };
enum { MOST_CONNECTIONS = 1024, MOST_OUTSTANDING = 64, INPUT = 1 << 16, OUTPUT = 1 << 14 };

#define PEOPLE "ou=people,dc=example,dc=com"

static struct {
    int port, sessions, connections, outstanding, wrong_password;
    unsigned users;
    double seconds;
} option = {.port = 389, .connections = 16, .outstanding = 4, .seconds = 3, .users = 1000};

enum state { CONNECTING, BINDING, SEARCHING };

struct connection {
    int fd;
    enum state state;
    unsigned user;
    unsigned first_id, waiting; /* questions first_id … first_id + outstanding - 1; how many aren't answered */
    uint64_t entries;           /* a bit for each of them whose entry is there */
    size_t got;
    uint8_t input[INPUT];
};

static struct connection *connections;
static int epoll;
static uint64_t done, wrong, ended_early, deadline;
static unsigned next_user;

/* ---- questions, all of less than 128 octets */

struct octets {
    uint8_t at[OUTPUT];
    size_t length;
};

static void put(struct octets *to, uint8_t tag, const void *content, size_t length) {
    if (length > 127 || to->length + length + 2 > OUTPUT) die("element of %zu octets", length);
    to->at[to->length++] = tag;
    to->at[to->length++] = (uint8_t)length;
    memcpy(to->at + to->length, content, length);
    to->length += length;
}

static void put_text(struct octets *to, uint8_t tag, const char *text) { put(to, tag, text, strlen(text)); }

static void put_message(struct octets *to, unsigned id, uint8_t tag, const struct octets *operation) {
    uint8_t number[3] = {(uint8_t)(id >> 16 & 0x7f), (uint8_t)(id >> 8), (uint8_t)id};
    struct octets content = {.length = 0};
    put(&content, INTEGER, number, 3);
    put(&content, tag, operation->at, operation->length);
    if (to->length + content.length + 3 > OUTPUT) die("too much for one write");
    to->at[to->length++] = SEQUENCE;
    to->at[to->length++] = 0x81; /* a length below 256 */
    to->at[to->length++] = (uint8_t)content.length;
    memcpy(to->at + to->length, content.at, content.length);
    to->length += content.length;
}

static void put_bind(struct octets *to, unsigned user) {
    struct octets bind = {.length = 0};
    char text[128];
    put(&bind, INTEGER, "\3", 1);
    snprintf(text, sizeof text, "uid=user%05u,%s", user, PEOPLE);
    put_text(&bind, OCTETS, text);
    snprintf(text, sizeof text, option.wrong_password ? "wrong%05u" : "pass%05u", user);
    put_text(&bind, SIMPLE, text);
    put_message(to, 1, BIND, &bind);
}

static void put_search(struct octets *to, unsigned id, unsigned user) {
    struct octets search = {.length = 0}, equality = {.length = 0};
    char text[32];
    put_text(&search, OCTETS, PEOPLE);
    put(&search, ENUMERATED, "\2", 1); /* the subtree */
    put(&search, ENUMERATED, "\0", 1);
    put(&search, INTEGER, "\0", 1);
    put(&search, INTEGER, "\0", 1);
    put(&search, 0x01, "\0", 1);
    snprintf(text, sizeof text, "user%05u", user);
    put_text(&equality, OCTETS, "uid");
    put_text(&equality, OCTETS, text);
    put(&search, EQUALITY, equality.at, equality.length);
    put(&search, SEQUENCE, "", 0);
    put_message(to, id, SEARCH, &search);
}

/* ---- connections */

static void open_connection(struct connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)option.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("port %d", option.port);
    c->state = CONNECTING;
    c->user = next_user++ % option.users;
    c->got = 0;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void close_connection(struct connection *c) {
    close(c->fd);
    c->fd = -1;
    if (now() < deadline) open_connection(c);
}

static void end_early(struct connection *c) {
    ended_early++;
    close_connection(c);
}

static int send_all(struct connection *c, const struct octets *what) {
    /* A few hundred octets on an idle connection: the kernel takes them whole, or the peer is gone. */
    if (send(c->fd, what->at, what->length, MSG_NOSIGNAL) == (ssize_t)what->length) return 1;
    end_early(c);
    return 0;
}

static void connected(struct connection *c) {
    struct octets out = {.length = 0};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
    c->state = BINDING;
    put_bind(&out, c->user);
    send_all(c, &out);
}

static int ask(struct connection *c) {
    struct octets out = {.length = 0};
    c->first_id = c->state == BINDING ? 2 : c->first_id % 100000 + MOST_OUTSTANDING;
    c->state = SEARCHING;
    c->waiting = (unsigned)(option.sessions ? 1 : option.outstanding);
    c->entries = 0;
    for (unsigned i = 0; i < c->waiting; i++) put_search(&out, c->first_id + i, c->user);
    return send_all(c, &out);
}

/* Everything that was asked is answered. 0: the connection is another one now. */
static int answered(struct connection *c) {
    struct octets out = {.length = 0}, nothing = {.length = 0};
    if (!option.sessions && now() < deadline) {
        return ask(c);
    }
    put_message(&out, 3, UNBIND, &nothing);
    if (!send_all(c, &out)) return 0;
    close_connection(c);
    return 0;
}

/* ---- answers */

struct element {
    uint8_t tag;
    const uint8_t *at, *end;
};

/* Reads one element and moves *at behind it. 1: read, 0: not all here yet, -1: malformed. */
static int read_element(const uint8_t **at, const uint8_t *end, struct element *e) {
    const uint8_t *p = *at;
    if (end - p < 2) return 0;
    e->tag = *p++;
    size_t length = *p++;
    if (length & 0x80) {
        int octets = length & 0x7f;
        if (octets < 1 || octets > 4) return -1;
        if (end - p < octets) return 0;
        for (length = 0; octets--;) length = length << 8 | *p++;
    }
    if ((size_t)(end - p) < length) return 0;
    e->at = p;
    e->end = *at = p + length;
    return 1;
}

static int is_success(const struct element *operation) {
    const uint8_t *at = operation->at;
    struct element code;
    return read_element(&at, operation->end, &code) == 1 && code.tag == ENUMERATED && code.end - code.at == 1 && !*code.at;
}

static int is_entry_of(const struct element *operation, unsigned user) {
    const uint8_t *at = operation->at;
    struct element dn;
    char expected[128];
    int length = snprintf(expected, sizeof expected, "uid=user%05u,%s", user, PEOPLE);
    return read_element(&at, operation->end, &dn) == 1 && dn.end - dn.at == length && !memcmp(dn.at, expected, (size_t)length);
}

/* 1: go on; 0: the connection is another one now. */
static int take(struct connection *c, const struct element *message) {
    const uint8_t *at = message->at;
    struct element number, operation;
    unsigned id = 0;
    if (message->tag != SEQUENCE || read_element(&at, message->end, &number) != 1 || number.tag != INTEGER ||
        read_element(&at, message->end, &operation) != 1)
        return wrong++, end_early(c), 0;
    for (const uint8_t *octet = number.at; octet < number.end; octet++) id = id << 8 | *octet;
    if (c->state == BINDING) {
        if (id != 1 || operation.tag != BIND_RESPONSE || is_success(&operation) == option.wrong_password)
            return wrong++, end_early(c), 0;
        if (option.wrong_password) return done++, close_connection(c), 0;
        return ask(c);
    }
    unsigned which = id - c->first_id, asked = (unsigned)(option.sessions ? 1 : option.outstanding);
    uint64_t bit = which < asked ? 1ull << which : 0;
    if (bit && operation.tag == ENTRY && !(c->entries & bit) && is_entry_of(&operation, c->user)) {
        c->entries |= bit;
        return 1;
    }
    if (!bit || operation.tag != DONE || !(c->entries & bit) || !is_success(&operation))
        return wrong++, end_early(c), 0;
    done++;
    return --c->waiting ? 1 : answered(c);
}

static void readable(struct connection *c) {
    ssize_t n = recv(c->fd, c->input + c->got, INPUT - c->got, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        end_early(c);
        return;
    }
    c->got += (size_t)n;
    const uint8_t *at = c->input;
    struct element message;
    int read;
    while ((read = read_element(&at, c->input + c->got, &message)) == 1)
        if (!take(c, &message)) return;
    if (read < 0) {
        wrong++;
        end_early(c);
        return;
    }
    c->got -= (size_t)(at - c->input);
    memmove(c->input, at, c->got);
}

static int open_ones(void) {
    int count = 0;
    for (int i = 0; i < option.connections; i++) count += connections[i].fd >= 0;
    return count;
}

int main(int argc, char **argv) {
    int letter;
    while ((letter = getopt(argc, argv, "p:sc:o:d:u:w")) != -1) switch (letter) {
        case 'p': option.port = atoi(optarg); break;
        case 's': option.sessions = 1; break;
        case 'c': option.connections = atoi(optarg); break;
        case 'o': option.outstanding = atoi(optarg); break;
        case 'd': option.seconds = atof(optarg); break;
        case 'u': option.users = (unsigned)atoi(optarg); break;
        case 'w': option.wrong_password = 1; break;
        default: exit(2);
        }
    if (option.connections < 1 || option.connections > MOST_CONNECTIONS || option.outstanding < 1 ||
        option.outstanding > MOST_OUTSTANDING || !option.users)
        exit(2);
    stop_on_signals();
    epoll = epoll_create1(0);
    connections = allocate((size_t)option.connections, sizeof *connections);
    uint64_t began = now();
    deadline = began + (uint64_t)(option.seconds * SECOND);
    uint64_t patience = deadline + 10ull * SECOND;
    struct epoll_event events[MOST_CONNECTIONS];
    for (int i = 0; i < option.connections; i++) open_connection(&connections[i]);
    while (!stopping && open_ones() && now() < patience) {
        int ready = epoll_wait(epoll, events, MOST_CONNECTIONS, 100);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->state != CONNECTING)
                readable(c);
            else if (events[i].events & (EPOLLERR | EPOLLHUP))
                end_early(c);
            else
                connected(c);
        }
    }
    ended_early += (uint64_t)open_ones();
    double seconds = (double)(now() - began) / SECOND;
    printf("{\"done\": %lu, \"wrong\": %lu, \"ended_early\": %lu, \"seconds\": %.3f, \"generator_us\": %.2f}\n", done, wrong,
           ended_early, seconds, done ? cpu_us() / (double)done : 0);
    return 0;
}
