/* radload: logins by RADIUS PAP, each reply verified, in a closed or an open loop.
 *
 *   radload -p PORT [-n logins] [-w window | -r per_second] [-c channels] [-u users] [-s secret]
 *           [-t give_up_ms] [-i retransmit_ms [-N [-q PORT]]] [-P suffix] [-x every] [-y every] [-l latencies]
 *           [-d seconds]
 *
 *   -w  closed loop: so many logins outstanding      -r  open loop: latency counts from the scheduled time
 *   -i  the same octets again every so often; -N: a new request instead (new identifier, authenticator, port)
 *   -q  the new request goes to this port and back again in turn, as of a NAS with two servers
 *   -P  typed behind each password, such as ",123456"
 *   -x  every x-th login has a wrong password        -y  every y-th is a user who denies (deny00001)
 *   -l  writes the latencies of all answers, as native 32-bit microseconds
 *
 * Login i is of user00000 + i mod users with password pass00000 + …, from a calling station of its own. Prints one
 * line of JSON. `let_in` and `kept_out` count verified answers that should have been the other one; `forged` what did
 * not verify.
 */
#define _GNU_SOURCE
#include "radius.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IDENTIFIERS = 256, MOST_SLOTS = 16, BATCH = 64, BUFFER = 4 << 20, LONGEST_WAIT = 100 };

static struct {
    int port, other_port, window, channels, users, renew, wrong_every, deny_every;
    uint32_t logins;
    double rate, most_seconds;
    uint64_t give_up, retransmit;
    const char *suffix, *latencies;
} option = {.port = 1812, .window = 64, .channels = 16, .users = 10000, .logins = 1000, .most_seconds = 120,
            .give_up = 5000 * MILLISECOND, .suffix = ""};

enum state { UNBORN, WAITING, ANSWERED, GIVEN_UP };

struct login {
    uint64_t began;
    enum state state;
    uint8_t expected; /* the code of a right answer */
    uint8_t slots_taken;
    uint16_t length;
    uint32_t slots[MOST_SLOTS];
    uint8_t packet[256];
};

/* An identifier of a channel. The authenticator before this one tells a late answer from a forged one. */
struct slot {
    uint32_t login; /* 1 + its number; 0: free */
    uint8_t authenticator[AUTHENTICATOR], previous[AUTHENTICATOR];
};

/* Times that only grow, because each kind of wait has one length. */
struct queue {
    struct {
        uint64_t due;
        uint32_t login;
    } *ring;
    size_t size, head, tail;
};

static struct secret secret;
static struct login *logins;
static struct slot *slots;
static uint32_t slot_count;
static struct {
    uint32_t *ring;
    uint64_t head, tail;
} free_slots[2]; /* of each server; the channels are divided among them */
static struct queue give_ups, retransmits;
static int *channel;
static uint32_t *latency;
static struct {
    uint64_t accepted, rejected, challenged, lost, let_in, kept_out, forged, late, again, unsigned_, refused, starved;
} count;
static uint32_t begun, finished, answered;
static uint64_t started, last_answer;

static struct queue queue_of(size_t size) { return (struct queue){.ring = allocate(size, sizeof(*(struct queue){0}.ring)), .size = size}; }
static void push(struct queue *q, uint64_t due, uint32_t login) {
    q->ring[q->tail % q->size].due = due;
    q->ring[q->tail++ % q->size].login = login;
}
static int pop(struct queue *q, uint64_t time, uint32_t *login) {
    if (q->head == q->tail || q->ring[q->head % q->size].due > time) return 0;
    *login = q->ring[q->head++ % q->size].login;
    return 1;
}
static uint64_t next_due(const struct queue *q) {
    return q->head == q->tail ? UINT64_MAX : q->ring[q->head % q->size].due;
}

static uint32_t server_of(uint32_t slot) { return option.other_port ? slot / IDENTIFIERS % 2 : 0; }
static int is_free(uint32_t server) { return free_slots[server].head != free_slots[server].tail; }
static uint32_t take_slot(uint32_t server) { return free_slots[server].ring[free_slots[server].head++ % slot_count]; }
static void free_slot(uint32_t slot) {
    uint32_t server = server_of(slot);
    free_slots[server].ring[free_slots[server].tail++ % slot_count] = slot;
}

static void open_channels(int epoll) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int buffer = BUFFER;
    channel = allocate((size_t)option.channels, sizeof *channel);
    for (int i = 0; i < option.channels; i++) {
        to.sin_port = htons((uint16_t)(server_of((uint32_t)i * IDENTIFIERS) ? option.other_port : option.port));
        channel[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (channel[i] < 0 || connect(channel[i], (struct sockaddr *)&to, sizeof to)) die("socket");
        setsockopt(channel[i], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, channel[i], &event)) die("epoll_ctl");
    }
    slot_count = (uint32_t)option.channels * IDENTIFIERS;
    slots = allocate(slot_count, sizeof *slots);
    for (int i = 0; i < 2; i++) free_slots[i].ring = allocate(slot_count, sizeof *free_slots[i].ring);
    for (uint32_t id = 0; id < IDENTIFIERS; id++) /* first in, first out: an identifier rests as long as it can */
        for (uint32_t c = 0; c < (uint32_t)option.channels; c++) free_slot(c * IDENTIFIERS + id);
}

static uint32_t next_server(const struct login *l) { return option.other_port ? l->slots_taken % 2 : 0; }

/* Makes the login's next request in a free slot. The caller knows that there is one. */
static void compose(uint32_t number) {
    struct login *l = &logins[number];
    uint32_t s = take_slot(next_server(l));
    int user = (int)(number % (uint32_t)option.users);
    int denies = option.deny_every && number % (uint32_t)option.deny_every == 1;
    int mistyped = option.wrong_every && number % (uint32_t)option.wrong_every == 0;
    char name[32], password[96], station[32];
    snprintf(name, sizeof name, "%s%05d", denies ? "deny" : "user", user);
    snprintf(password, sizeof password, "%s%05d%s", mistyped ? "fail" : "pass", user, option.suffix);
    snprintf(station, sizeof station, "10.%u.%u.%u", number >> 16 & 255, number >> 8 & 255, number & 255);
    struct request_facts facts = {.identifier = (uint8_t)(s % IDENTIFIERS), .user = name, .password = password,
                                  .calling_station = station, .nas_port = number};
    l->expected = denies || mistyped ? ACCESS_REJECT : ACCESS_ACCEPT;
    l->length = (uint16_t)build_request(&secret, &facts, l->packet);
    memcpy(slots[s].previous, slots[s].authenticator, AUTHENTICATOR);
    memcpy(slots[s].authenticator, l->packet + 4, AUTHENTICATOR);
    slots[s].login = number + 1;
    l->slots[l->slots_taken++] = s;
}

static void transmit(uint32_t number, uint64_t time) {
    struct login *l = &logins[number];
    uint32_t s = l->slots[l->slots_taken - 1];
    if (send(channel[s / IDENTIFIERS], l->packet, l->length, 0) < 0) count.refused++;
    if (option.retransmit) push(&retransmits, time + option.retransmit, number);
}

static void finish(uint32_t number, enum state state) {
    struct login *l = &logins[number];
    l->state = state;
    finished++;
    for (int i = 0; i < l->slots_taken; i++) {
        slots[l->slots[i]].login = 0;
        free_slot(l->slots[i]);
    }
}

static void begin(uint64_t scheduled) {
    uint32_t number = begun++;
    uint64_t time = now();
    compose(number);
    logins[number].state = WAITING;
    logins[number].began = scheduled ? scheduled : time;
    push(&give_ups, logins[number].began + option.give_up, number);
    transmit(number, time);
}

/* Begins what is due. Returns when the next one is. */
static uint64_t begin_due(void) {
    while (begun < option.logins) {
        uint64_t due = option.rate > 0 ? started + (uint64_t)(begun * 1e9 / option.rate) : 0;
        if (due > now()) return due;
        if (!option.rate && begun - finished >= (uint32_t)option.window) break;
        if (!is_free(0)) {
            count.starved++;
            break;
        }
        begin(due);
        if (begun % 32 == 0) return 0; /* let answers in between */
    }
    return UINT64_MAX;
}

static void repeat(uint32_t number, uint64_t time) {
    struct login *l = &logins[number];
    if (l->state != WAITING) return;
    count.again++;
    if (option.renew && l->slots_taken < MOST_SLOTS && is_free(next_server(l))) compose(number);
    transmit(number, time);
}

static void expire(uint64_t time) {
    uint32_t number;
    while (pop(&give_ups, time, &number))
        if (logins[number].state == WAITING) {
            count.lost++;
            finish(number, GIVEN_UP);
        }
    while (pop(&retransmits, time, &number)) repeat(number, time);
}

static void answer(struct login *l, uint8_t code, uint64_t time) {
    count.accepted += code == ACCESS_ACCEPT;
    count.rejected += code == ACCESS_REJECT;
    count.challenged += code == ACCESS_CHALLENGE;
    count.let_in += code == ACCESS_ACCEPT && l->expected != ACCESS_ACCEPT;
    count.kept_out += code != ACCESS_ACCEPT && l->expected == ACCESS_ACCEPT;
    uint64_t us = (time - l->began) / 1000;
    latency[answered++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    last_answer = time;
    finish((uint32_t)(l - logins), ANSWERED);
}

static void received(int from, uint8_t *packet, size_t length, uint64_t time) {
    if (length < HEADER) {
        count.forged++;
        return;
    }
    struct slot *s = &slots[from * IDENTIFIERS + packet[1]];
    enum proof proof = verify_reply(&secret, packet, length, s->authenticator);
    if (proof == FORGED) {
        int late = verify_reply(&secret, packet, length, s->previous) != FORGED;
        late ? count.late++ : count.forged++;
    } else if (!s->login) {
        count.late++; /* given up, or answered already */
    } else if (time > logins[s->login - 1].began + option.give_up) {
        count.late++; /* we were the slow ones: it counts as lost when the queue is looked at */
    } else {
        count.unsigned_ += proof == PROVEN_UNSIGNED;
        answer(&logins[s->login - 1], packet[0], time);
    }
}

static void receive(int from) {
    static uint8_t buffers[BATCH][MOST_PACKET];
    static struct iovec vectors[BATCH];
    static struct mmsghdr messages[BATCH];
    int got;
    do {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){buffers[i], MOST_PACKET};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
        }
        got = recvmmsg(channel[from], messages, BATCH, MSG_DONTWAIT, NULL);
        uint64_t time = now();
        for (int i = 0; i < got; i++) received(from, buffers[i], messages[i].msg_len, time);
    } while (got == BATCH);
}

static void wait_until(int epoll, uint64_t due) {
    uint64_t time = now(), wait = due > time ? due - time : 0;
    if (wait > LONGEST_WAIT * MILLISECOND) wait = LONGEST_WAIT * MILLISECOND;
    struct timespec t = {.tv_sec = (time_t)(wait / SECOND), .tv_nsec = (long)(wait % SECOND)};
    struct epoll_event events[BATCH];
    int ready = epoll_pwait2(epoll, events, BATCH, &t, NULL);
    for (int i = 0; i < ready; i++) receive((int)events[i].data.u32);
}

static uint64_t earliest(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void run(int epoll) {
    uint64_t end = started + (uint64_t)(option.most_seconds * 1e9);
    while (!stopping && finished < option.logins && now() < end) {
        uint64_t due = begin_due();
        due = earliest(due, earliest(next_due(&give_ups), next_due(&retransmits)));
        wait_until(epoll, due);
        expire(now());
    }
    count.lost += option.logins - finished; /* never answered, or never begun */
}

static void write_latencies(void) {
    FILE *out = fopen(option.latencies, "wb");
    if (!out || fwrite(latency, sizeof *latency, answered, out) != answered || fclose(out)) die("%s", option.latencies);
}

static void report(double cpu) {
    double seconds = answered ? (double)(last_answer - started) / 1e9 : 0;
    if (option.latencies) write_latencies();
    printf("{\"logins\": %u, \"answered\": %u, \"accepted\": %lu, \"rejected\": %lu, \"challenged\": %lu, ",
           option.logins, answered, count.accepted, count.rejected, count.challenged);
    printf("\"lost\": %lu, \"let_in\": %lu, \"kept_out\": %lu, \"forged\": %lu, \"late\": %lu, \"retransmitted\": %lu, ",
           count.lost, count.let_in, count.kept_out, count.forged, count.late, count.again);
    printf("\"unsigned\": %lu, \"send_refused\": %lu, \"starved\": %lu, ", count.unsigned_, count.refused,
           count.starved);
    print_percentiles(latency, answered);
    printf("\"seconds\": %.4f, \"per_second\": %.1f, \"generator_us\": %.2f}\n", seconds,
           seconds > 0 ? answered / seconds : 0, answered ? cpu / answered : 0);
}

static void read_options(int argc, char **argv) {
    int letter;
    const char *text = "testing123";
    while ((letter = getopt(argc, argv, "p:q:s:n:w:r:c:u:t:i:NP:x:y:l:d:")) != -1) switch (letter) {
        case 'p': option.port = atoi(optarg); break;
        case 'q': option.other_port = atoi(optarg); break;
        case 's': text = optarg; break;
        case 'n': option.logins = (uint32_t)atoi(optarg); break;
        case 'w': option.window = atoi(optarg); break;
        case 'r': option.rate = atof(optarg); break;
        case 'c': option.channels = atoi(optarg); break;
        case 'u': option.users = atoi(optarg); break;
        case 't': option.give_up = (uint64_t)atoi(optarg) * MILLISECOND; break;
        case 'i': option.retransmit = (uint64_t)atoi(optarg) * MILLISECOND; break;
        case 'N': option.renew = 1; break;
        case 'P': option.suffix = optarg; break;
        case 'x': option.wrong_every = atoi(optarg); break;
        case 'y': option.deny_every = atoi(optarg); break;
        case 'l': option.latencies = optarg; break;
        case 'd': option.most_seconds = atof(optarg); break;
        default: exit(2);
        }
    if (option.channels < 1 || option.users < 1 || option.logins < 1) die("radload: nothing to do");
    secret = secret_of(text);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    stop_on_signals();
    int epoll = epoll_create1(0);
    open_channels(epoll);
    logins = allocate(option.logins, sizeof *logins);
    latency = allocate(option.logins, sizeof *latency);
    give_ups = queue_of(option.logins + 1);
    retransmits = queue_of(option.logins + 1);
    double cpu = cpu_us();
    started = now();
    run(epoll);
    report(cpu_us() - cpu);
    return 0;
}
