/* radsink: the other side of radload, to prove the generator before it judges anybody.
 *
 *   radsink -p PORT [-s secret] [-D delay_ms] [-f every] [-l every] [-a every]
 *
 * Verifies each request's Message-Authenticator, uncovers its password and accepts userNNNNN with passNNNNN (with
 * anything behind it). On purpose: every f-th reply is forged, every l-th is lost, every a-th accepts whatever was
 * typed. Prints one line of JSON when it ends.
 */
#define _GNU_SOURCE
#include "radius.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DELAYED = 1 << 16, REPLY = HEADER + 18 };

struct reply {
    uint64_t due;
    struct sockaddr_in to;
    uint8_t packet[REPLY];
};

static struct secret secret;
static struct reply delayed[DELAYED];
static uint64_t head, tail, requests, malformed, forged_by_us, lost_by_us, accepted_by_us, delay;
static uint64_t forge_every, lose_every, accept_every;

/* The text of an attribute, "" when it is missing. */
static const char *text(const uint8_t *packet, size_t length, uint8_t type, char *out) {
    int at = find_attribute(packet, length, type, 0);
    out[0] = 0;
    if (at > 0) {
        size_t octets = packet[at - 1] - 2u;
        memcpy(out, packet + at, octets);
        out[octets] = 0;
    }
    return out;
}

static int is_right(uint8_t *packet, size_t length) {
    char user[256], password[256];
    int at = find_attribute(packet, length, USER_PASSWORD, 0);
    if (at <= 0 || (packet[at - 1] - 2) % 16) return 0;
    size_t octets = packet[at - 1] - 2u;
    crypt_password(&secret, packet + 4, packet + at, octets, 0);
    memcpy(password, packet + at, octets);
    password[octets] = 0;
    text(packet, length, USER_NAME, user);
    return !strncmp(user, "user", 4) && !strncmp(password, "pass", 4) && !strncmp(user + 4, password + 4, 5);
}

static int is_signed(uint8_t *packet, size_t length) {
    uint8_t sent[16], mac[16];
    int at = find_attribute(packet, length, MESSAGE_AUTHENTICATOR, 16);
    if (at <= 0) return 0;
    memcpy(sent, packet + at, 16);
    memset(packet + at, 0, 16);
    hmac_md5(&secret.hmac, packet, length, mac);
    return !memcmp(sent, mac, 16);
}

static void compose(uint8_t code, const uint8_t *request, uint8_t *packet) {
    static const uint8_t zeros[16];
    packet[0] = code;
    packet[1] = request[1];
    packet[2] = 0;
    packet[3] = REPLY;
    memcpy(packet + 4, request + 4, AUTHENTICATOR);
    add(packet, HEADER, MESSAGE_AUTHENTICATOR, zeros, 16);
    sign(&secret, packet, REPLY, HEADER + 2);
    MD5_CTX context;
    MD5_Init(&context);
    MD5_Update(&context, packet, REPLY);
    MD5_Update(&context, secret.octets, secret.length);
    MD5_Final(packet + 4, &context);
}

static void serve(uint8_t *packet, size_t length, const struct sockaddr_in *from) {
    if (length < HEADER || packet_length(packet) != length || packet[0] != ACCESS_REQUEST || !is_signed(packet, length)) {
        malformed++;
        return;
    }
    requests++;
    if (lose_every && requests % lose_every == 0) {
        lost_by_us++;
        return;
    }
    int right = is_right(packet, length);
    if (!right && accept_every && requests % accept_every == 0) {
        accepted_by_us++;
        right = 1;
    }
    struct reply *reply = &delayed[tail++ % DELAYED];
    reply->due = now() + delay;
    reply->to = *from;
    compose(right ? ACCESS_ACCEPT : ACCESS_REJECT, packet, reply->packet);
    if (forge_every && requests % forge_every == 0) {
        forged_by_us++;
        reply->packet[HEADER + 5] ^= 1;
    }
}

int main(int argc, char **argv) {
    int letter, port = 1812, one = 1, buffer = 8 << 20;
    const char *shared = "testing123";
    while ((letter = getopt(argc, argv, "p:s:D:f:l:a:")) != -1) switch (letter) {
        case 'p': port = atoi(optarg); break;
        case 's': shared = optarg; break;
        case 'D': delay = (uint64_t)atoi(optarg) * MILLISECOND; break;
        case 'f': forge_every = (uint64_t)atoi(optarg); break;
        case 'l': lose_every = (uint64_t)atoi(optarg); break;
        case 'a': accept_every = (uint64_t)atoi(optarg); break;
        default: exit(2);
        }
    secret = secret_of(shared);
    stop_on_signals();
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_usec = 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (bind(fd, (struct sockaddr *)&own, sizeof own)) die("port %d", port);
    while (!stopping) {
        uint8_t packet[MOST_PACKET];
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t length = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
        if (length > 0) serve(packet, (size_t)length, &from);
        for (uint64_t time = now(); head < tail && delayed[head % DELAYED].due <= time; head++) {
            struct reply *reply = &delayed[head % DELAYED];
            sendto(fd, reply->packet, REPLY, 0, (struct sockaddr *)&reply->to, sizeof reply->to);
        }
    }
    printf("{\"requests\": %lu, \"malformed\": %lu, \"forged\": %lu, \"lost\": %lu, \"accepted\": %lu}\n", requests, malformed,
           forged_by_us, lost_by_us, accepted_by_us);
    return 0;
}
