/* RADIUS as the load generator and its counterpart speak it (RFC 2865 §3, §5.2; RFC 3579 §3.2). */
#ifndef RADIUS_H
#define RADIUS_H

#include "bench.h"

enum { ACCESS_REQUEST = 1, ACCESS_ACCEPT = 2, ACCESS_REJECT = 3, ACCESS_CHALLENGE = 11 };
enum {
    USER_NAME = 1,
    USER_PASSWORD = 2,
    NAS_IP_ADDRESS = 4,
    NAS_PORT = 5,
    CALLING_STATION_ID = 31,
    NAS_IDENTIFIER = 32,
    MESSAGE_AUTHENTICATOR = 80,
};
enum { HEADER = 20, AUTHENTICATOR = 16, MOST_PASSWORD = 128, MOST_PACKET = 4096 };

struct secret {
    const char *octets;
    size_t length;
    MD5_CTX digested; /* MD5 of the secret so far: User-Password begins with it */
    struct hmac_md5 hmac;
};

UNUSED static struct secret secret_of(const char *octets) {
    struct secret s = {.octets = octets, .length = strlen(octets)};
    MD5_Init(&s.digested);
    MD5_Update(&s.digested, octets, s.length);
    hmac_md5_key(&s.hmac, octets, s.length);
    return s;
}

UNUSED static size_t packet_length(const uint8_t *packet) { return (size_t)(packet[2] << 8 | packet[3]); }

static size_t add(uint8_t *packet, size_t at, uint8_t type, const void *value, size_t length) {
    packet[at] = type;
    packet[at + 1] = (uint8_t)(length + 2);
    memcpy(packet + at + 2, value, length);
    return at + 2 + length;
}

/* RFC 2865 §5.2. Hides with hide = 1, uncovers with hide = 0; `length` is a multiple of 16. */
UNUSED static void crypt_password(const struct secret *s, const uint8_t *authenticator, uint8_t *octets,
                                  size_t length, int hide) {
    uint8_t previous[16], pad[16];
    memcpy(previous, authenticator, 16);
    for (size_t block = 0; block < length; block += 16) {
        MD5_CTX digest = s->digested;
        MD5_Update(&digest, previous, 16);
        MD5_Final(pad, &digest);
        if (!hide) memcpy(previous, octets + block, 16);
        for (size_t i = 0; i < 16; i++) octets[block + i] ^= pad[i];
        if (hide) memcpy(previous, octets + block, 16);
    }
}

/* The place of a Message-Authenticator's value, 0 when there is none, -1 when the attributes are malformed. */
static int find_attribute(const uint8_t *packet, size_t length, uint8_t type, size_t wanted) {
    int found = 0;
    for (size_t at = HEADER; at < length;) {
        if (at + 2 > length || packet[at + 1] < 2 || at + packet[at + 1] > length) return -1;
        if (packet[at] == type && !found && (!wanted || packet[at + 1] == wanted + 2u)) found = (int)at + 2;
        at += packet[at + 1];
    }
    return found;
}

/* Fills in Message-Authenticator, whose value stands at `at` and is zero now. */
static void sign(const struct secret *s, uint8_t *packet, size_t length, size_t at) {
    uint8_t mac[16];
    hmac_md5(&s->hmac, packet, length, mac);
    memcpy(packet + at, mac, 16);
}

struct request_facts {
    uint8_t identifier;
    const char *user, *password, *calling_station;
    uint32_t nas_port;
};

/* An Access-Request with a fresh authenticator, signed. Returns its length. */
UNUSED static size_t build_request(const struct secret *s, const struct request_facts *facts, uint8_t *packet) {
    static const uint8_t zeros[16], nas[4] = {127, 0, 0, 1};
    uint8_t password[MOST_PASSWORD] = {0};
    size_t typed = strlen(facts->password), hidden = typed ? (typed + 15) & ~(size_t)15 : 16;
    if (typed > MOST_PASSWORD) die("password of %zu octets", typed);
    memcpy(password, facts->password, typed);

    packet[0] = ACCESS_REQUEST;
    packet[1] = facts->identifier;
    fresh(packet + 4, AUTHENTICATOR);
    crypt_password(s, packet + 4, password, hidden, 1);
    uint8_t port[4] = {(uint8_t)(facts->nas_port >> 24), (uint8_t)(facts->nas_port >> 16),
                       (uint8_t)(facts->nas_port >> 8), (uint8_t)facts->nas_port};
    size_t at = add(packet, HEADER, MESSAGE_AUTHENTICATOR, zeros, 16);
    at = add(packet, at, USER_NAME, facts->user, strlen(facts->user));
    at = add(packet, at, USER_PASSWORD, password, hidden);
    at = add(packet, at, NAS_IP_ADDRESS, nas, 4);
    at = add(packet, at, NAS_PORT, port, 4);
    at = add(packet, at, CALLING_STATION_ID, facts->calling_station, strlen(facts->calling_station));
    at = add(packet, at, NAS_IDENTIFIER, "vpn", 3);
    packet[2] = (uint8_t)(at >> 8);
    packet[3] = (uint8_t)at;
    sign(s, packet, at, HEADER + 2);
    return at;
}

/* What a reply has to prove. */
enum proof {
    PROVEN,
    PROVEN_UNSIGNED, /* right Response Authenticator, no Message-Authenticator */
    FORGED,
};

/* Verifies a reply against the request's authenticator. Leaves the octets as they were. */
UNUSED static enum proof verify_reply(const struct secret *s, uint8_t *packet, size_t length,
                                      const uint8_t *request_authenticator) {
    uint8_t sent[16], digest[16], mac[16];
    if (length < HEADER || packet_length(packet) != length) return FORGED;
    int at = find_attribute(packet, length, MESSAGE_AUTHENTICATOR, 16);
    if (at < 0) return FORGED;
    memcpy(sent, packet + 4, 16);
    memcpy(packet + 4, request_authenticator, 16);
    MD5_CTX context;
    MD5_Init(&context);
    MD5_Update(&context, packet, length);
    MD5_Update(&context, s->octets, s->length);
    MD5_Final(digest, &context);
    int right = !memcmp(digest, sent, 16);
    if (right && at > 0) {
        memcpy(mac, packet + at, 16);
        memset(packet + at, 0, 16);
        hmac_md5(&s->hmac, packet, length, digest);
        memcpy(packet + at, mac, 16);
        right = !memcmp(digest, mac, 16);
    }
    memcpy(packet + 4, sent, 16);
    return !right ? FORGED : at > 0 ? PROVEN : PROVEN_UNSIGNED;
}

#endif
