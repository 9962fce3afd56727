/* ldapsink: an LDAP server that answers at once (RFC 4511), so that what is measured is who asks.
 *
 *   ldapsink -p PORT [-a] [-l N]
 *
 *   -a  takes any password; -l  answers every Nth search with somebody else's entry: both for self-checks
 *
 * It knows cn=admin,dc=example,dc=com (adminpw) and, in ou=people, uid=<word>NNNNN with password passNNNNN. A bind is
 * judged; a search is answered with the entry whose uid its filter asks for, to whoever is bound as somebody.
 * Prints one line of JSON when it ends.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIND = 0x60, BIND_RESPONSE = 0x61, UNBIND = 0x42, SEARCH = 0x63, ENTRY = 0x64, DONE = 0x65, ABANDON = 0x50,
       EXTENDED = 0x77, EXTENDED_RESPONSE = 0x78 };
enum { INTEGER = 0x02, OCTETS = 0x04, ENUMERATED = 0x0a, SEQUENCE = 0x30, SET = 0x31 };
enum { SIMPLE = 0x80, FILTER_AND = 0xa0, FILTER_OR = 0xa1, FILTER_EQUALITY = 0xa3 };
enum { SUCCESS = 0, PROTOCOL_ERROR = 2, INVALID_CREDENTIALS = 49, INSUFFICIENT_RIGHTS = 50 };
enum { MOST_CONNECTIONS = 1 << 16, INPUT = 1 << 14, OUTPUT = 1 << 16, BATCH = 128 };

#define PEOPLE ",ou=people,dc=example,dc=com"

struct connection {
    int bound; /* as somebody */
    size_t got;
    uint8_t input[INPUT];
};

/* A TLV: its tag and its contents. */
struct element {
    uint8_t tag;
    const uint8_t *at, *end;
};

static struct connection *connections[MOST_CONNECTIONS];
static int takes_any_password, lies_every;
static uint64_t binds, refused, searches, found, accepted_connections, malformed;
static uint8_t output[OUTPUT];
static size_t written;

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

static int is(const struct element *e, const char *text) {
    size_t length = strlen(text);
    return (size_t)(e->end - e->at) == length && !strncasecmp((const char *)e->at, text, length);
}

/* Puts an element around what stands behind `mark`; contents are written first. */
static void wrap(size_t mark, uint8_t tag) {
    size_t length = written - mark, header = length < 128 ? 2 : 4;
    memmove(output + mark + header, output + mark, length);
    output[mark] = tag;
    if (header == 2) {
        output[mark + 1] = (uint8_t)length;
    } else {
        output[mark + 1] = 0x82;
        output[mark + 2] = (uint8_t)(length >> 8);
        output[mark + 3] = (uint8_t)length;
    }
    written += header;
}

static void put(uint8_t tag, const void *octets, size_t length) {
    size_t mark = written;
    memcpy(output + written, octets, length);
    written += length;
    wrap(mark, tag);
}
static void put_text(const char *text) { put(OCTETS, text, strlen(text)); }

static void put_id(const struct element *id) { put(INTEGER, id->at, (size_t)(id->end - id->at)); }

static void put_result(const struct element *id, uint8_t operation, uint8_t code) {
    size_t message = written;
    put_id(id);
    size_t mark = written;
    put(ENUMERATED, &code, 1);
    put_text("");
    put_text("");
    wrap(mark, operation);
    wrap(message, SEQUENCE);
}

static void put_attribute(const char *name, const char *value) {
    size_t mark = written;
    put_text(name);
    size_t values = written;
    put_text(value);
    wrap(values, SET);
    wrap(mark, SEQUENCE);
}

/* Whether a search that asks for these attributes wants this one; to ask for none is to ask for all. */
static int wants(const struct element *asked, const char *name) {
    const uint8_t *at = asked->at;
    struct element one;
    if (at == asked->end) return 1;
    while (read_element(&at, asked->end, &one) == 1)
        if (is(&one, name) || is(&one, "*")) return 1;
    return 0;
}

static void put_entry(const struct element *id, const char *dn, const char *uid, const struct element *asked) {
    char mail[128];
    snprintf(mail, sizeof mail, "%s@example.com", uid);
    size_t message = written;
    put_id(id);
    size_t entry = written;
    put_text(dn);
    size_t attributes = written;
    if (wants(asked, "objectClass")) put_attribute("objectClass", "inetOrgPerson");
    if (wants(asked, "uid")) put_attribute("uid", uid);
    if (wants(asked, "cn")) put_attribute("cn", uid);
    if (wants(asked, "mail")) put_attribute("mail", mail);
    wrap(attributes, SEQUENCE);
    wrap(entry, ENTRY);
    wrap(message, SEQUENCE);
}

/* The rootDSE (RFC 4512 §5.1), which clients read to learn whom they talk to. */
static void put_root(const struct element *id) {
    size_t message = written;
    put_id(id);
    size_t entry = written;
    put_text("");
    size_t attributes = written;
    put_attribute("namingContexts", "dc=example,dc=com");
    put_attribute("supportedLDAPVersion", "3");
    wrap(attributes, SEQUENCE);
    wrap(entry, ENTRY);
    wrap(message, SEQUENCE);
}

static int is_password(const struct element *dn, const struct element *password) {
    static const size_t tail = sizeof PEOPLE - 1;
    size_t length = (size_t)(dn->end - dn->at);
    if (is(dn, "cn=admin,dc=example,dc=com")) return is(password, "adminpw");
    if (length < 4 + 5 + tail || strncasecmp((const char *)dn->at, "uid=", 4)) return 0;
    if (strncasecmp((const char *)dn->end - tail, PEOPLE, tail)) return 0;
    return password->end - password->at == 9 && !memcmp(password->at, "pass", 4) &&
           !memcmp(password->at + 4, dn->end - tail - 5, 5);
}

static int serve_bind(struct connection *c, const struct element *id, const struct element *operation) {
    const uint8_t *at = operation->at;
    struct element version, dn, credential;
    if (read_element(&at, operation->end, &version) != 1 || read_element(&at, operation->end, &dn) != 1 ||
        read_element(&at, operation->end, &credential) != 1)
        return -1;
    int right = credential.tag == SIMPLE && (takes_any_password || is_password(&dn, &credential));
    c->bound = right;
    binds++;
    refused += !right;
    put_result(id, BIND_RESPONSE, right ? SUCCESS : INVALID_CREDENTIALS);
    return 0;
}

/* The value that the filter wants of uid; 0 when it wants none. */
static int wanted_uid(const struct element *filter, struct element *uid) {
    const uint8_t *at = filter->at;
    struct element part;
    if (filter->tag == FILTER_EQUALITY)
        return read_element(&at, filter->end, &part) == 1 && is(&part, "uid") && read_element(&at, filter->end, uid) == 1;
    if (filter->tag != FILTER_AND && filter->tag != FILTER_OR) return 0;
    while (read_element(&at, filter->end, &part) == 1)
        if (wanted_uid(&part, uid)) return 1;
    return 0;
}

static int serve_search(struct connection *c, const struct element *id, const struct element *operation) {
    const uint8_t *at = operation->at;
    struct element base, skipped, filter, asked, uid;
    if (read_element(&at, operation->end, &base) != 1) return -1;
    for (int i = 0; i < 5; i++) /* scope, derefAliases, sizeLimit, timeLimit, typesOnly */
        if (read_element(&at, operation->end, &skipped) != 1) return -1;
    if (read_element(&at, operation->end, &filter) != 1 || read_element(&at, operation->end, &asked) != 1) return -1;
    searches++;
    if (base.at == base.end) {
        put_root(id);
        put_result(id, DONE, SUCCESS);
        return 0;
    }
    if (!c->bound) {
        put_result(id, DONE, INSUFFICIENT_RIGHTS);
        return 0;
    }
    long inside = base.end - base.at - (long)(sizeof PEOPLE - 1);
    /* A directory that takes somebody's bind has their entry, too. */
    if (inside > 4 && inside < 64 && !strncasecmp((const char *)base.at, "uid=", 4)) {
        char name[64], dn[128];
        snprintf(name, sizeof name, "%.*s", (int)inside - 4, (const char *)base.at + 4);
        snprintf(dn, sizeof dn, "uid=%s%s", name, PEOPLE);
        put_entry(id, dn, name, &asked);
        found++;
    } else if (wanted_uid(&filter, &uid) && uid.end - uid.at >= 5 && uid.end - uid.at < 64) {
        char name[64], dn[128];
        snprintf(name, sizeof name, "%.*s", (int)(uid.end - uid.at), (const char *)uid.at);
        if (lies_every && found % (uint64_t)lies_every == 0) snprintf(name, sizeof name, "somebody");
        snprintf(dn, sizeof dn, "uid=%s%s", name, PEOPLE);
        put_entry(id, dn, name, &asked);
        found++;
    }
    put_result(id, DONE, SUCCESS);
    return 0;
}

/* Answers one message. -1: the connection ends. */
static int serve(struct connection *c, const struct element *message) {
    const uint8_t *at = message->at;
    struct element id, operation;
    if (message->tag != SEQUENCE || read_element(&at, message->end, &id) != 1 ||
        read_element(&at, message->end, &operation) != 1) {
        malformed++;
        return -1;
    }
    switch (operation.tag) {
    case BIND: return serve_bind(c, &id, &operation);
    case SEARCH: return serve_search(c, &id, &operation);
    case EXTENDED: put_result(&id, EXTENDED_RESPONSE, PROTOCOL_ERROR); return 0;
    case ABANDON: return 0;
    case UNBIND: return -1;
    default: malformed++; return -1;
    }
}

static void flush(int fd) {
    for (size_t sent = 0; sent < written;) {
        ssize_t n = send(fd, output + sent, written - sent, MSG_NOSIGNAL);
        if (n <= 0) break; /* a peer that doesn't read its few octets has gone */
        sent += (size_t)n;
    }
    written = 0;
}

static void close_connection(int fd) {
    free(connections[fd]);
    connections[fd] = NULL;
    close(fd);
}

static void readable(int fd) {
    struct connection *c = connections[fd];
    ssize_t n = recv(fd, c->input + c->got, INPUT - c->got, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        close_connection(fd);
        return;
    }
    c->got += (size_t)n;
    const uint8_t *at = c->input;
    struct element message;
    int read, ended = 0;
    while (!ended && (read = read_element(&at, c->input + c->got, &message)) == 1) {
        ended = serve(c, &message) < 0;
        if (written > OUTPUT / 2) flush(fd);
    }
    flush(fd);
    if (ended || read < 0 || (at == c->input && c->got == INPUT)) {
        close_connection(fd);
        return;
    }
    c->got -= (size_t)(at - c->input);
    memmove(c->input, at, c->got);
}

static void accept_all(int listener, int epoll) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MOST_CONNECTIONS) {
            close(fd);
            continue;
        }
        accepted_connections++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connections[fd] = allocate(1, sizeof *connections[fd]);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv) {
    int letter, port = 389, one = 1;
    while ((letter = getopt(argc, argv, "p:al:")) != -1) switch (letter) {
        case 'p': port = atoi(optarg); break;
        case 'a': takes_any_password = 1; break;
        case 'l': lies_every = atoi(optarg); break;
        default: exit(2);
        }
    stop_on_signals();
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 4096)) die("port %d", port);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[BATCH];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    while (!stopping) {
        int ready = epoll_wait(epoll, events, BATCH, 200);
        for (int i = 0; i < ready; i++)
            if (events[i].data.fd == listener)
                accept_all(listener, epoll);
            else
                readable(events[i].data.fd);
    }
    printf("{\"binds\": %lu, \"refused\": %lu, \"searches\": %lu, \"found\": %lu, \"connections\": %lu, \"malformed\": %lu}\n",
           binds, refused, searches, found, accepted_connections, malformed);
    return 0;
}
