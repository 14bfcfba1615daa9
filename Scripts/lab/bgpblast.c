/*
 * bgpblast: one BGP session, as fast as a socket allows.
 *
 * The lab and the benchmark need a peer that is never the slow one: it announces a whole Internet table
 * from a buffer encoded beforehand, keeps on changing chosen prefixes at a given rate, and receives the
 * same from the router under test while checking every message. It is source and sink in one program,
 * since a real neighbour is both.
 *
 * It is driven by lines on standard input and answers each with one line of JSON on standard output:
 *
 *   announce             send the table (and send it again whenever the session comes back)
 *   churn RATE COUNT     change COUNT prefixes of the table in turn, RATE changes a second; 0 stops
 *   settle               stop the churn and announce again whatever it had withdrawn
 *   inject PREFIX        announce one IPv4 prefix of its own, now and whenever the session comes back;
 *   retract PREFIX       withdraws it and forgets it
 *   expect N4 N6         how many routes are "the whole table" for a sink: notes when they were all there
 *   mark                 begin a new measuring window (latency, longest gap between updates)
 *   status, digest, quit
 *
 * How loss is proven. Source and sink each keep the set of routes they believe in. A digest of that set
 * (prefix, origin, AS path without the announcing router, communities) does not depend on order, so equal
 * digests at both ends mean that the router in between lost, doubled and mangled nothing. Communities are
 * summed, since some routers sort them. Changes made by churn carry the time in a large community
 * (RFC 8092), from which the sink knows how long each took.
 *
 * All times are CLOCK_MONOTONIC seconds unless a name says "wall"; every process of a machine shares it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OPEN = 1, UPDATE = 2, NOTIFICATION = 3, KEEPALIVE = 4, REFRESH = 5 };
enum { HEADER = 19, LARGEST = 4096 };
enum { LARGE_COMMUNITY_TAG = 32, COMMUNITY_TAG = 8 };

typedef struct sockaddr_storage Address;

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("bgpblast: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static double clock_seconds(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
static double now(void) { return clock_seconds(CLOCK_MONOTONIC); }

static void *grown(void *memory, size_t size) {
    void *result = realloc(memory, size);
    if (!result) die("out of memory");
    return result;
}

static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void put16(uint8_t *at, unsigned v) { at[0] = v >> 8; at[1] = v; }
static void put32(uint8_t *at, uint32_t v) { put16(at, v >> 16); put16(at + 2, v & 0xffff); }
static unsigned get16(const uint8_t *at) { return at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }
static uint64_t get64(const uint8_t *at) { return (uint64_t)get32(at) << 32 | get32(at + 4); }

/* ---------------------------------------------------------------- the table to announce */

typedef struct { uint8_t address[16]; uint8_t length; uint32_t set; } Prefix;
typedef struct {
    uint8_t *fixed;        /* ORIGIN, AS_PATH, MED, COMMUNITIES as they go on the wire, own AS in front */
    unsigned fixed_length;
    uint64_t hash;
    int loaded;
} AttributeSet;

typedef struct { Prefix *all; uint32_t count; } Table;
typedef struct { uint8_t *bytes; size_t length, room; uint32_t messages; } Buffer;

static Table table4, table6;
static AttributeSet *sets;
static uint32_t set_count;
static uint32_t own_as, peer_as;
static uint8_t next_hop4[4], next_hop6[16];

static uint8_t *reserve(Buffer *buffer, size_t more) {
    if (buffer->length + more > buffer->room) {
        buffer->room = (buffer->length + more) * 2;
        buffer->bytes = grown(buffer->bytes, buffer->room);
    }
    return buffer->bytes + buffer->length;
}

static uint64_t path_hash(uint64_t so_far, uint32_t as) { return mix(so_far ^ as) + 1; }
static uint64_t community_hash(uint32_t c) { return mix((uint64_t)COMMUNITY_TAG << 56 | c); }
static uint64_t large_hash(uint32_t a, uint32_t b, uint32_t c) {
    return mix(mix((uint64_t)a << 32 | b) ^ ((uint64_t)LARGE_COMMUNITY_TAG << 56 | c));
}
static uint64_t prefix_key(uint64_t high, uint64_t low, unsigned length) {
    uint64_t key = mix(high + length * 0xd1342543de82ef95u);
    if (low) key = mix(key ^ low);
    return key ? key : 1;
}
static uint64_t route_hash(uint64_t key, uint64_t attributes) { return mix(key ^ mix(attributes)); }

static void load_table(Table *table, const char *path, int family, uint32_t limit) {
    FILE *file = fopen(path, "r");
    if (!file) die("%s: %s", path, strerror(errno));
    char line[256];
    uint32_t room = 0;
    while (table->count < limit && fgets(line, sizeof line, file)) {
        char *slash = strchr(line, '/'), *blank = slash ? strchr(slash, ' ') : NULL;
        if (!blank) die("%s: line %u is not PREFIX/LENGTH SET", path, table->count + 1);
        if (table->count == room) {
            room = room ? room * 2 : 1 << 16;
            table->all = grown(table->all, room * sizeof *table->all);
        }
        Prefix *p = &table->all[table->count];
        memset(p, 0, sizeof *p);
        *slash = 0;
        if (inet_pton(family, line, p->address) != 1) die("%s: %s is not an address", path, line);
        p->length = atoi(slash + 1);
        p->set = strtoul(blank + 1, NULL, 10);
        if (p->set >= set_count) die("%s: attribute set %u does not exist", path, p->set);
        table->count++;
    }
    fclose(file);
}

/* One line of attrs.txt: "AS PATH;ORIGIN;MED;COMMUNITIES". */
static void load_sets(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) die("%s: %s", path, strerror(errno));
    char line[8192];
    uint32_t room = 0;
    while (fgets(line, sizeof line, file)) {
        if (set_count == room) {
            room = room ? room * 2 : 1 << 14;
            sets = grown(sets, room * sizeof *sets);
        }
        uint8_t out[2048];
        unsigned n = 0;
        char *rest = line, *path_text = strsep(&rest, ";"), *origin = strsep(&rest, ";");
        char *med = strsep(&rest, ";"), *communities = strsep(&rest, "\n");
        if (!origin || !med) die("%s: line %u has too few fields", path, set_count + 1);

        uint64_t hash = mix(atoi(origin));
        out[n++] = 0x40; out[n++] = 1; out[n++] = 1; out[n++] = atoi(origin);

        unsigned path_at = n, hops = 1;
        n += 5;
        out[path_at] = 0x40; out[path_at + 1] = 2; out[path_at + 3] = 2;
        put32(out + n, own_as); n += 4;
        hash = path_hash(hash, own_as);
        for (char *word; (word = strsep(&path_text, " "));) {
            if (!*word || hops >= 60) continue;
            uint32_t as = strtoul(word, NULL, 10);
            put32(out + n, as); n += 4; hops++;
            hash = path_hash(hash, as);
        }
        out[path_at + 2] = 2 + 4 * hops;
        out[path_at + 4] = hops;
        hash = mix(hash);

        if (*med) {
            out[n++] = 0x80; out[n++] = 4; out[n++] = 4;
            put32(out + n, strtoul(med, NULL, 10)); n += 4;
        }
        uint32_t list[60];
        unsigned count = 0;
        for (char *word; communities && (word = strsep(&communities, " "));) {
            unsigned a, b, i;
            if (sscanf(word, "%u:%u", &a, &b) != 2 || count == 60) continue;
            uint32_t c = a << 16 | b;
            /* Routers that sort communities also drop repeated ones. */
            for (i = 0; i < count && list[i] != c; i++) {}
            if (i == count) list[count++] = c;
        }
        if (count) {
            out[n++] = 0xc0; out[n++] = 8; out[n++] = 4 * count;
            for (unsigned i = 0; i < count; i++) {
                put32(out + n, list[i]); n += 4;
                hash += community_hash(list[i]);
            }
        }
        AttributeSet *set = &sets[set_count++];
        set->fixed = grown(NULL, n);
        memcpy(set->fixed, out, n);
        set->fixed_length = n;
        set->hash = hash ? hash : 1;
    }
    fclose(file);
}

static unsigned put_prefix(uint8_t *at, const Prefix *p) {
    unsigned octets = (p->length + 7) / 8;
    at[0] = p->length;
    memcpy(at + 1, p->address, octets);
    return 1 + octets;
}

static uint8_t *begin_message(Buffer *buffer) {
    uint8_t *message = reserve(buffer, LARGEST);
    memset(message, 0xff, 16);
    message[18] = UPDATE;
    return message;
}
static void end_message(Buffer *buffer, uint8_t *message, unsigned length) {
    put16(message + 16, length);
    buffer->length += length;
    buffer->messages++;
}

/* Announces prefixes that share one attribute set, in as few messages as hold them. `stamp` (microseconds,
   0 for none) goes out as a large community. */
static void encode_announcement(Buffer *buffer, int family, const Prefix **list, uint32_t count,
                                const AttributeSet *set, uint64_t stamp) {
    uint32_t next = 0;
    while (next < count) {
        uint8_t *m = begin_message(buffer);
        unsigned n = 23, reach_at = 0;
        put16(m + 19, 0);
        if (family == AF_INET6) {
            /* RFC 7606 §5.1: MP_REACH_NLRI comes first. Its length is filled in at the end. */
            reach_at = n;
            m[n] = 0x90; m[n + 1] = 14;
            n += 4;
            put16(m + n, 2); m[n + 2] = 1; m[n + 3] = 16;
            memcpy(m + n + 4, next_hop6, 16);
            m[n + 20] = 0;
            n += 21;
            unsigned room = LARGEST - set->fixed_length - 32;
            while (next < count && n + 17 <= room) n += put_prefix(m + n, list[next++]);
            put16(m + reach_at + 2, n - reach_at - 4);
        }
        memcpy(m + n, set->fixed, set->fixed_length);
        n += set->fixed_length;
        if (family == AF_INET) {
            m[n] = 0x40; m[n + 1] = 3; m[n + 2] = 4;
            memcpy(m + n + 3, next_hop4, 4);
            n += 7;
        }
        if (stamp) {
            m[n] = 0xc0; m[n + 1] = 32; m[n + 2] = 12;
            put32(m + n + 3, own_as);
            put32(m + n + 7, stamp / 1000000);
            put32(m + n + 11, stamp % 1000000);
            n += 15;
        }
        put16(m + 21, n - 23);
        if (family == AF_INET)
            while (next < count && n + 5 <= LARGEST) n += put_prefix(m + n, list[next++]);
        end_message(buffer, m, n);
    }
}

static void encode_withdrawal(Buffer *buffer, int family, const Prefix *p) {
    uint8_t *m = begin_message(buffer);
    unsigned n;
    if (family == AF_INET) {
        unsigned octets = put_prefix(m + 21, p);
        put16(m + 19, octets);
        put16(m + 21 + octets, 0);
        n = 23 + octets;
    } else {
        put16(m + 19, 0);
        unsigned octets = put_prefix(m + 30, p);
        m[23] = 0x90; m[24] = 15;
        put16(m + 25, 3 + octets);
        put16(m + 27, 2); m[29] = 1;
        put16(m + 21, 7 + octets);
        n = 30 + octets;
    }
    end_message(buffer, m, n);
}

static void encode_end_of_rib(Buffer *buffer, int family) {
    uint8_t *m = begin_message(buffer);
    put16(m + 19, 0);
    if (family == AF_INET) {
        put16(m + 21, 0);
        end_message(buffer, m, 23);
        return;
    }
    put16(m + 21, 6);
    m[23] = 0x80; m[24] = 15; m[25] = 3;
    put16(m + 26, 2); m[28] = 1;
    end_message(buffer, m, 29);
}

/* The whole table, grouped by attribute set in the order in which the sets first occur. */
static void encode_table(Buffer *buffer, const Table *table, int family) {
    uint32_t *first = grown(NULL, set_count * sizeof *first), *next = grown(NULL, (table->count + 1) * sizeof *next);
    uint32_t *last = grown(NULL, set_count * sizeof *last), *order = grown(NULL, set_count * sizeof *order), used = 0;
    const Prefix **list = grown(NULL, (table->count + 1) * sizeof *list);
    memset(first, 0xff, set_count * sizeof *first);
    for (uint32_t i = 0; i < table->count; i++) {
        uint32_t set = table->all[i].set;
        next[i] = UINT32_MAX;
        if (first[set] == UINT32_MAX) { first[set] = i; order[used++] = set; } else next[last[set]] = i;
        last[set] = i;
    }
    for (uint32_t o = 0; o < used; o++) {
        uint32_t count = 0;
        for (uint32_t i = first[order[o]]; i != UINT32_MAX; i = next[i]) list[count++] = &table->all[i];
        encode_announcement(buffer, family, list, count, &sets[order[o]], 0);
    }
    encode_end_of_rib(buffer, family);
    free(first); free(next); free(last); free(order); free(list);
}

/* ---------------------------------------------------------------- the routes received */

/* A prefix is known by 64 bits of its hash: at a million routes the chance that any two meet is one in
   thirty million, and a route then costs a quarter of a cache line. */
typedef struct { uint64_t key, attributes; } Route;      /* key 0: free; attributes 0: withdrawn */
typedef struct { Route *slots; uint32_t capacity, filled, present; uint64_t announced, withdrawn; } RIB;

static Route *find_route(const RIB *rib, uint64_t key) {
    uint32_t mask = rib->capacity - 1, i = key & mask;
    while (rib->slots[i].key && rib->slots[i].key != key) i = (i + 1) & mask;
    return &rib->slots[i];
}

/* Makes room for so many routes in all. */
static void reserve_routes(RIB *rib, uint32_t count) {
    if (rib->capacity && count <= rib->capacity / 3 * 2) return;
    RIB bigger = *rib;
    if (!bigger.capacity) bigger.capacity = 1 << 16;
    while (count > bigger.capacity / 3 * 2) bigger.capacity *= 2;
    bigger.slots = grown(NULL, bigger.capacity * sizeof *bigger.slots);
    memset(bigger.slots, 0, bigger.capacity * sizeof *bigger.slots);   /* touched now, not when routes come in */
    for (uint32_t i = 0; i < rib->capacity; i++)
        if (rib->slots[i].key) *find_route(&bigger, rib->slots[i].key) = rib->slots[i];
    free(rib->slots);
    *rib = bigger;
}

static RIB rib4, rib6;

static void forget_routes(RIB *rib) {
    if (rib->slots) memset(rib->slots, 0, rib->capacity * sizeof *rib->slots);
    rib->filled = rib->present = 0;
}

/* ---------------------------------------------------------------- what is told about the session */

typedef struct { double at, wall; char text[160]; } Event;
static Event events[2000];
static unsigned event_count, events_lost;

static void note(const char *format, ...) {
    if (event_count == sizeof events / sizeof *events) { events_lost++; return; }
    Event *event = &events[event_count++];
    event->at = now();
    event->wall = clock_seconds(CLOCK_REALTIME);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(event->text, sizeof event->text, format, arguments);
    va_end(arguments);
    for (char *c = event->text; *c; c++) if (*c == '"' || *c == '\\' || *c < ' ') *c = '\'';
}

static struct {
    unsigned established, dropped, notifications_in, notifications_out, malformed;
    double established_at, dropped_at;
    uint64_t bytes_in, bytes_out, messages_in, messages_out, updates_in, keepalives_in;
    double first_table_byte, last_table_byte;        /* sent */
    double first_update, last_update, end_of_rib4, end_of_rib6, complete_at, last_input;
    uint64_t changes_sent, changes_held;
    double window_began, window_last_update, longest_gap, longest_gap_at;
    uint32_t first_as_wrong;
} seen;

enum { SAMPLES = 1 << 20 };
static float *latencies;
static uint32_t latency_count;
static uint32_t expect4, expect6;
static int expecting;

/* ---------------------------------------------------------------- the session */

enum { IDLE, CONNECTING, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED };
static const char *state_names[] = { "idle", "connecting", "open-sent", "open-confirm", "established" };
static int state = IDLE, peer_socket = -1, listener = -1;
static Address local, remote;
static socklen_t address_length;
static unsigned hold_configured = 90, hold_time, port = 179;
static uint32_t router_id;
static int family4 = 0, family6 = 0, active = 1, keep_routes = 1;
static const char *md5_key = "";
static double retry_at, hold_deadline, keepalive_at, retry_delay = 0.5;

static Buffer blob4, blob6;
static int announcing, table_sent;

/* What waits to be written: the encoded table is queued by reference, everything else is copied. */
typedef struct { const uint8_t *bytes; size_t length; uint8_t *owned; int is_table; } Segment;
static Segment *queue;
static uint32_t queue_first, queue_count, queue_room;
static size_t queue_offset, queued_bytes;

static void enqueue(const uint8_t *bytes, size_t length, int copy, int is_table) {
    if (!length) return;
    if (queue_first + queue_count == queue_room) {
        if (queue_first > queue_room / 2) {
            memmove(queue, queue + queue_first, queue_count * sizeof *queue);
            queue_first = 0;
        } else {
            queue_room = queue_room ? queue_room * 2 : 256;
            queue = grown(queue, queue_room * sizeof *queue);
        }
    }
    Segment *segment = &queue[queue_first + queue_count++];
    segment->length = length;
    segment->is_table = is_table;
    segment->owned = NULL;
    segment->bytes = bytes;
    if (copy) {
        segment->owned = grown(NULL, length);
        memcpy(segment->owned, bytes, length);
        segment->bytes = segment->owned;
    }
    queued_bytes += length;
}

static void clear_queue(void) {
    for (uint32_t i = 0; i < queue_count; i++) free(queue[queue_first + i].owned);
    queue_first = queue_count = 0;
    queue_offset = queued_bytes = 0;
}

static void drop(const char *format, ...) {
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (peer_socket >= 0) close(peer_socket);
    peer_socket = -1;
    clear_queue();
    if (state == ESTABLISHED) {
        seen.dropped++;
        seen.dropped_at = now();
        note("session lost: %s", text);
    } else if (state > CONNECTING) {
        note("session not set up: %s", text);
    }
    state = IDLE;
    table_sent = 0;
    retry_at = now() + retry_delay;
    forget_routes(&rib4);
    forget_routes(&rib6);
}

static void flush_queue(void) {
    while (queue_count && peer_socket >= 0) {
        Segment *segment = &queue[queue_first];
        ssize_t n = send(peer_socket, segment->bytes + queue_offset, segment->length - queue_offset, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR) return;
            drop("send: %s", strerror(errno));
            return;
        }
        seen.bytes_out += n;
        if (segment->is_table) {
            seen.last_table_byte = now();
            if (!seen.first_table_byte) seen.first_table_byte = seen.last_table_byte;
        }
        queued_bytes -= n;
        queue_offset += n;
        if (queue_offset == segment->length) {
            free(segment->owned);
            queue_offset = 0;
            queue_first++;
            if (!--queue_count) queue_first = 0;
        }
    }
}

static void send_message(int type, const uint8_t *body, unsigned length) {
    uint8_t message[LARGEST];
    memset(message, 0xff, 16);
    put16(message + 16, HEADER + length);
    message[18] = type;
    if (length) memcpy(message + HEADER, body, length);
    enqueue(message, HEADER + length, 1, 0);
    seen.messages_out++;
}

static void send_open(void) {
    uint8_t body[64], *c = body + 12;
    body[0] = 4;
    put16(body + 1, own_as > 65535 ? 23456 : own_as);
    put16(body + 3, hold_configured);
    put32(body + 5, router_id);
    body[10] = 2;
    if (family4) { memcpy(c, "\x01\x04\x00\x01\x00\x01", 6); c += 6; }
    if (family6) { memcpy(c, "\x01\x04\x00\x02\x00\x01", 6); c += 6; }
    memcpy(c, "\x02\x00", 2); c += 2;
    memcpy(c, "\x41\x04", 2); put32(c + 2, own_as); c += 6;
    body[11] = c - body - 12;
    body[9] = body[11] + 2;
    send_message(OPEN, body, c - body);
}

static void notify_and_drop(int code, int subcode, const char *why) {
    uint8_t body[2] = { code, subcode };
    send_message(NOTIFICATION, body, 2);
    seen.notifications_out++;
    flush_queue();
    drop("we sent NOTIFICATION %d/%d: %s", code, subcode, why);
}

static void opened(void) {
    state = OPEN_SENT;
    hold_deadline = now() + 30;
    send_open();
}

static void set_key(int fd) {
    if (!*md5_key) return;
    struct tcp_md5sig key = { .tcpm_keylen = strlen(md5_key) };
    memcpy(&key.tcpm_addr, &remote, address_length);
    memcpy(key.tcpm_key, md5_key, key.tcpm_keylen);
    if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key)) die("TCP_MD5SIG: %s", strerror(errno));
}

static void tune(int fd) {
    int one = 1, large = 8 << 20;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
}

static void start_connecting(void) {
    peer_socket = socket(local.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer_socket < 0) die("socket: %s", strerror(errno));
    tune(peer_socket);
    set_key(peer_socket);
    if (bind(peer_socket, (struct sockaddr *)&local, address_length)) die("bind: %s", strerror(errno));
    state = CONNECTING;
    hold_deadline = now() + 3;
    if (connect(peer_socket, (struct sockaddr *)&remote, address_length) && errno != EINPROGRESS)
        drop("connect: %s", strerror(errno));
}

static void send_table(void) {
    if (!announcing || table_sent || state != ESTABLISHED) return;
    table_sent = 1;
    seen.first_table_byte = seen.last_table_byte = 0;
    if (family4 && table4.count) { enqueue(blob4.bytes, blob4.length, 0, 1); seen.messages_out += blob4.messages; }
    if (family6 && table6.count) { enqueue(blob6.bytes, blob6.length, 0, 1); seen.messages_out += blob6.messages; }
}

/* ---------------------------------------------------------------- churn */

static uint32_t churn_count, churn_rate, churn_next;
static double churn_began;
static uint64_t churn_due_before;
typedef struct { uint64_t stamp; uint8_t withdrawn, turn; } Change;
static Change *changes4, *changes6;

static void forget_changes(void) {
    if (changes4) memset(changes4, 0, (table4.count + 1) * sizeof *changes4);
    if (changes6) memset(changes6, 0, (table6.count + 1) * sizeof *changes6);
}

/* The churned prefixes are spread evenly over the table. */
static uint32_t churned(uint32_t n, const Table *table) {
    return (uint32_t)((uint64_t)n * table->count / churn_count);
}

static void announce_changed(Buffer *buffer, int family, const Prefix *p, Change *change) {
    change->stamp = now() * 1e6;
    change->withdrawn = 0;
    encode_announcement(buffer, family, &p, 1, &sets[p->set], change->stamp);
}

static void churn_step(Buffer *buffer) {
    int family = table4.count && family4 ? AF_INET : AF_INET6;
    const Table *table = family == AF_INET ? &table4 : &table6;
    uint32_t index = churned(churn_next, table);
    Change *change = &(family == AF_INET ? changes4 : changes6)[index];
    const Prefix *p = &table->all[index];
    churn_next = (churn_next + 1) % churn_count;
    /* Every prefix goes through: new attributes, withdrawn, announced again. */
    switch (change->turn++ % 3) {
    case 1: change->withdrawn = 1; encode_withdrawal(buffer, family, p); break;
    default: announce_changed(buffer, family, p, change);
    }
    seen.changes_sent++;
}

static void send_buffer(Buffer *buffer) {
    seen.messages_out += buffer->messages;
    enqueue(buffer->bytes, buffer->length, 1, 0);
    buffer->length = buffer->messages = 0;
}

static Buffer scratch;

/* Prefixes besides the table. Like everything that a router announces they come again with the session. */
#define INJECTED_MAX 64
static Prefix injected[INJECTED_MAX];
static uint32_t injected_count;

static void send_injected(uint32_t from, uint32_t to) {
    uint8_t plain[64];
    memcpy(plain, "\x40\x01\x01\x00\x40\x02\x06\x02\x01", 9);
    put32(plain + 9, own_as);
    AttributeSet set = { .fixed = plain, .fixed_length = 13 };
    for (uint32_t i = from; i < to; i++) {
        const Prefix *one = &injected[i];
        encode_announcement(&scratch, AF_INET, &one, 1, &set, 0);
    }
    if (state == ESTABLISHED) send_buffer(&scratch);
    scratch.length = scratch.messages = 0;
}

static void churn(double at) {
    if (!churn_rate || state != ESTABLISHED || !table_sent) { churn_began = at; churn_due_before = 0; return; }
    uint64_t due = (at - churn_began) * churn_rate;
    if (due <= churn_due_before) return;
    uint64_t steps = due - churn_due_before;
    churn_due_before = due;
    /* A router that does not read must not make this process grow without end. */
    if (queued_bytes > (1 << 20)) { seen.changes_held += steps; return; }
    while (steps--) churn_step(&scratch);
    send_buffer(&scratch);
}

static void settle(void) {
    churn_rate = 0;
    if (state != ESTABLISHED) return;
    for (uint32_t i = 0; changes4 && i < table4.count; i++)
        if (changes4[i].withdrawn) announce_changed(&scratch, AF_INET, &table4.all[i], &changes4[i]);
    for (uint32_t i = 0; changes6 && i < table6.count; i++)
        if (changes6[i].withdrawn) announce_changed(&scratch, AF_INET6, &table6.all[i], &changes6[i]);
    send_buffer(&scratch);
}

/* ---------------------------------------------------------------- receiving */

static int take_prefixes(RIB *rib, const uint8_t *at, const uint8_t *end, int family, uint64_t attributes) {
    unsigned longest = family == AF_INET ? 32 : 128;
    uint64_t keys[LARGEST];
    unsigned count = 0;
    while (at < end) {
        unsigned length = *at++, octets = (length + 7) / 8;
        if (length > longest || at + octets > end) return -1;
        uint8_t address[16] = { 0 };
        memcpy(address, at, octets);
        at += octets;
        keys[count++] = prefix_key(get64(address), get64(address + 8), length);
    }
    reserve_routes(rib, rib->filled + count);
    /* All of a message's slots are asked for before the first is used: their cache misses then overlap. */
    for (unsigned i = 0; i < count; i++) __builtin_prefetch(&rib->slots[keys[i] & (rib->capacity - 1)], 1);
    for (unsigned i = 0; i < count; i++) {
        Route *slot = find_route(rib, keys[i]);
        if (!slot->key) { slot->key = keys[i]; rib->filled++; }
        if (attributes) { rib->announced++; if (!slot->attributes) rib->present++; }
        else { rib->withdrawn++; if (slot->attributes) rib->present--; }
        slot->attributes = attributes;
    }
    return 0;
}

static const char *take_update(const uint8_t *body, unsigned length, double at) {
    if (length < 4) return "UPDATE shorter than its fixed fields";
    unsigned withdrawn_length = get16(body);
    if (withdrawn_length + 4 > length) return "withdrawn routes run past the end";
    const uint8_t *withdrawn = body + 2, *attributes = withdrawn + withdrawn_length + 2, *end = body + length;
    unsigned attributes_length = get16(attributes - 2);
    if (attributes + attributes_length > end) return "attributes run past the end";
    const uint8_t *nlri = attributes + attributes_length, *reach = NULL, *unreach = NULL;
    unsigned reach_length = 0, unreach_length = 0;
    uint64_t path = 0, sum = 0, stamp = 0;
    unsigned origin = 0, has_origin = 0, has_path = 0, has_next_hop = 0;
    uint32_t hops[256]; unsigned hop_count = 0;

    for (const uint8_t *a = attributes; a < nlri;) {
        if (a + 3 > nlri) return "attribute header cut off";
        unsigned flags = a[0], type = a[1], size = a[2], header = 3;
        if (flags & 0x10) {
            if (a + 4 > nlri) return "attribute header cut off";
            size = get16(a + 2); header = 4;
        }
        a += header;
        if (a + size > nlri) return "attribute runs past the end";
        switch (type) {
        case 1:
            if (size != 1 || a[0] > 2) return "bad ORIGIN";
            origin = a[0]; has_origin = 1; break;
        case 2:
            for (unsigned n = 0; n < size;) {
                unsigned count = n + 2 <= size ? a[n + 1] : 255;
                if (n + 2 + 4 * count > size) return "bad AS_PATH";
                for (unsigned i = 0; i < count && hop_count < 256; i++) hops[hop_count++] = get32(a + n + 2 + 4 * i);
                n += 2 + 4 * count;
            }
            has_path = 1; break;
        case 3: if (size != 4) return "bad NEXT_HOP"; has_next_hop = 1; break;
        case 8:
            if (size % 4) return "bad COMMUNITIES";
            for (unsigned n = 0; n < size; n += 4) sum += community_hash(get32(a + n));
            break;
        case 14: reach = a; reach_length = size; break;
        case 15: unreach = a; unreach_length = size; break;
        case 32:
            if (size % 12) return "bad LARGE_COMMUNITY";
            for (unsigned n = 0; n < size; n += 12) {
                sum += large_hash(get32(a + n), get32(a + n + 4), get32(a + n + 8));
                stamp = get32(a + n + 4) * 1000000ull + get32(a + n + 8);
            }
            break;
        }
        a += size;
    }

    if (!withdrawn_length && !attributes_length && nlri == end) { seen.end_of_rib4 = at; return NULL; }
    if (unreach && unreach_length == 3 && !reach && nlri == end) { seen.end_of_rib6 = at; return NULL; }
    int announces = nlri < end || reach;
    if (announces) {
        if (!has_origin || !has_path || (nlri < end && !has_next_hop)) return "a mandatory attribute is missing";
        if (hop_count == 0 || hops[0] != peer_as) { seen.first_as_wrong++; return "the first AS is not the peer's"; }
        path = mix(origin);
        for (unsigned i = 1; i < hop_count; i++) path = path_hash(path, hops[i]);
        path = mix(path) + sum;
        if (!path) path = 1;
    }

    if (keep_routes) {
        if (take_prefixes(&rib4, withdrawn, attributes - 2, AF_INET, 0)) return "bad prefix in withdrawn routes";
        if (take_prefixes(&rib4, nlri, end, AF_INET, path)) return "bad prefix in NLRI";
        if (unreach) {
            if (unreach_length < 3 || get16(unreach) != 2) return "bad MP_UNREACH_NLRI";
            if (take_prefixes(&rib6, unreach + 3, unreach + unreach_length, AF_INET6, 0)) return "bad prefix in MP_UNREACH_NLRI";
        }
        if (reach) {
            if (reach_length < 5 || get16(reach) != 2 || 5u + reach[3] > reach_length) return "bad MP_REACH_NLRI";
            if (take_prefixes(&rib6, reach + 5 + reach[3], reach + reach_length, AF_INET6, path)) return "bad prefix in MP_REACH_NLRI";
        }
    }

    if (!seen.first_update) seen.first_update = at;
    if (seen.window_last_update && at - seen.window_last_update > seen.longest_gap) {
        seen.longest_gap = at - seen.window_last_update;
        seen.longest_gap_at = seen.window_last_update;
    }
    seen.window_last_update = seen.last_update = at;
    if (stamp && latency_count < SAMPLES) latencies[latency_count++] = at - stamp / 1e6;
    if (expecting && !seen.complete_at && rib4.present >= expect4 && rib6.present >= expect6) seen.complete_at = at;
    return NULL;
}

/* Returns NULL, or why the session cannot go on. */
static void take_message(int type, const uint8_t *body, unsigned length, double at) {
    seen.messages_in++;
    hold_deadline = hold_time ? at + hold_time : at + 1e9;
    const char *fault;
    switch (type) {
    case OPEN:
        if (state != OPEN_SENT || length < 10) { notify_and_drop(5, 0, "unexpected OPEN"); return; }
        hold_time = get16(body + 3) < hold_configured ? get16(body + 3) : hold_configured;
        send_message(KEEPALIVE, NULL, 0);
        keepalive_at = at + hold_time / 3.0;
        hold_deadline = hold_time ? at + hold_time : at + 1e9;
        state = OPEN_CONFIRM;
        return;
    case KEEPALIVE:
        seen.keepalives_in++;
        if (state != OPEN_CONFIRM) return;
        state = ESTABLISHED;
        seen.established++;
        seen.established_at = at;
        note("established, hold time %u s", hold_time);
        forget_changes();
        send_table();
        send_injected(0, injected_count);
        return;
    case NOTIFICATION:
        seen.notifications_in++;
        drop("the peer sent NOTIFICATION %d/%d", length > 0 ? body[0] : 0, length > 1 ? body[1] : 0);
        return;
    case REFRESH:
        table_sent = 0;
        forget_changes();
        send_table();
        send_injected(0, injected_count);
        return;
    case UPDATE:
        if (state != ESTABLISHED) { notify_and_drop(5, 0, "unexpected UPDATE"); return; }
        seen.updates_in++;
        fault = take_update(body, length, at);
        if (fault && ++seen.malformed <= 20) note("malformed UPDATE: %s", fault);
        return;
    default:
        notify_and_drop(1, 3, "bad message type");
    }
}

static uint8_t *input;
static size_t input_length;
enum { INPUT_ROOM = 4 << 20 };

static void receive(void) {
    for (int rounds = 0; rounds < 16 && peer_socket >= 0; rounds++) {
        ssize_t n = recv(peer_socket, input + input_length, INPUT_ROOM - input_length, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n < 0) { drop("receive: %s", strerror(errno)); return; }
        if (n == 0) { drop("the peer closed the connection"); return; }
        double at = now();
        seen.last_input = at;
        seen.bytes_in += n;
        input_length += n;
        size_t done = 0;
        while (input_length - done >= HEADER) {
            const uint8_t *m = input + done;
            unsigned length = get16(m + 16);
            if (get64(m) != UINT64_MAX || get64(m + 8) != UINT64_MAX) {
                seen.malformed++;
                notify_and_drop(1, 1, "the marker is not all ones: the byte stream is broken");
                break;
            }
            if (length < HEADER || length > LARGEST) {
                seen.malformed++;
                notify_and_drop(1, 2, "bad message length");
                break;
            }
            if (input_length - done < length) break;
            take_message(m[18], m + HEADER, length - HEADER, at);
            if (peer_socket < 0) break;
            done += length;
        }
        if (peer_socket < 0) { input_length = 0; return; }
        memmove(input, input + done, input_length - done);
        input_length -= done;
    }
}

/* ---------------------------------------------------------------- answers */

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void print_status(FILE *out) {
    double at = now();
    /* A gap that is still open counts: a stream that died must not look smooth. */
    double gap = seen.longest_gap, gap_at = seen.longest_gap_at;
    if (seen.window_last_update && at - seen.window_last_update > gap) { gap = at - seen.window_last_update; gap_at = seen.window_last_update; }
    float p50 = 0, p99 = 0, most = 0;
    if (latency_count) {
        qsort(latencies, latency_count, sizeof *latencies, by_value);
        p50 = latencies[latency_count / 2];
        p99 = latencies[(uint64_t)latency_count * 99 / 100];
        most = latencies[latency_count - 1];
    }
    fprintf(out, "{\"state\":\"%s\",\"now\":%.6f,\"wall\":%.6f,\"established_count\":%u,\"dropped_count\":%u,"
        "\"established_at\":%.6f,\"dropped_at\":%.6f,\"uptime\":%.6f,\"hold_time\":%u,"
        "\"notifications_in\":%u,\"notifications_out\":%u,\"malformed\":%u,"
        "\"bytes_in\":%llu,\"bytes_out\":%llu,\"messages_in\":%llu,\"messages_out\":%llu,\"updates_in\":%llu,\"keepalives_in\":%llu,",
        state_names[state], at, clock_seconds(CLOCK_REALTIME), seen.established, seen.dropped,
        seen.established_at, seen.dropped_at, state == ESTABLISHED ? at - seen.established_at : 0, hold_time,
        seen.notifications_in, seen.notifications_out, seen.malformed,
        (unsigned long long)seen.bytes_in, (unsigned long long)seen.bytes_out, (unsigned long long)seen.messages_in,
        (unsigned long long)seen.messages_out, (unsigned long long)seen.updates_in, (unsigned long long)seen.keepalives_in);
    fprintf(out, "\"table4\":%u,\"table6\":%u,\"queued_bytes\":%zu,\"first_table_byte\":%.6f,\"last_table_byte\":%.6f,"
        "\"changes_sent\":%llu,\"changes_held\":%llu,"
        "\"routes4\":%u,\"routes6\":%u,\"announced4\":%llu,\"announced6\":%llu,\"withdrawn4\":%llu,\"withdrawn6\":%llu,"
        "\"first_update\":%.6f,\"last_update\":%.6f,\"last_input\":%.6f,\"end_of_rib4\":%.6f,\"end_of_rib6\":%.6f,\"complete_at\":%.6f,",
        table4.count, table6.count, queued_bytes, seen.first_table_byte, seen.last_table_byte,
        (unsigned long long)seen.changes_sent, (unsigned long long)seen.changes_held,
        rib4.present, rib6.present, (unsigned long long)rib4.announced, (unsigned long long)rib6.announced,
        (unsigned long long)rib4.withdrawn, (unsigned long long)rib6.withdrawn,
        seen.first_update, seen.last_update, seen.last_input, seen.end_of_rib4, seen.end_of_rib6, seen.complete_at);
    fprintf(out, "\"window_began\":%.6f,\"longest_gap\":%.6f,\"longest_gap_at\":%.6f,\"stamped\":%u,"
        "\"latency_median\":%.6f,\"latency_p99\":%.6f,\"latency_max\":%.6f,\"events_lost\":%u,\"events\":[",
        seen.window_began, gap, gap_at, latency_count, p50, p99, most, events_lost);
    for (unsigned i = 0; i < event_count; i++)
        fprintf(out, "%s{\"at\":%.6f,\"wall\":%.6f,\"text\":\"%s\"}", i ? "," : "", events[i].at, events[i].wall, events[i].text);
    fprintf(out, "]}\n");
    fflush(out);
}

static uint64_t digest_rib(const RIB *rib) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < rib->capacity; i++) {
        const Route *r = &rib->slots[i];
        if (r->attributes) sum += route_hash(r->key, r->attributes);
    }
    return sum;
}

static uint64_t digest_table(const Table *table, const Change *changes, uint32_t *count) {
    uint64_t sum = 0;
    *count = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const Prefix *p = &table->all[i];
        uint64_t attributes = sets[p->set].hash;
        if (changes && changes[i].withdrawn) continue;
        if (changes && changes[i].stamp)
            attributes += large_hash(own_as, changes[i].stamp / 1000000, changes[i].stamp % 1000000);
        if (!attributes) attributes = 1;
        sum += route_hash(prefix_key(get64(p->address), get64(p->address + 8), p->length), attributes);
        ++*count;
    }
    return sum;
}

static void print_digest(FILE *out) {
    uint32_t count4, count6;
    uint64_t sent4 = digest_table(&table4, changes4, &count4), sent6 = digest_table(&table6, changes6, &count6);
    fprintf(out, "{\"sent4\":\"%016llx\",\"sent6\":\"%016llx\",\"sent_count4\":%u,\"sent_count6\":%u,"
        "\"received4\":\"%016llx\",\"received6\":\"%016llx\",\"received_count4\":%u,\"received_count6\":%u}\n",
        (unsigned long long)sent4, (unsigned long long)sent6, count4, count6,
        (unsigned long long)digest_rib(&rib4), (unsigned long long)digest_rib(&rib6), rib4.present, rib6.present);
    fflush(out);
}

static void inject(const char *text, int withdraw) {
    Prefix p = { 0 };
    char address[64];
    unsigned length;
    if (sscanf(text, " %63[0-9.]/%u", address, &length) != 2 || length > 32 || inet_pton(AF_INET, address, p.address) != 1) {
        puts("{\"error\":\"not an IPv4 prefix\"}");
        return;
    }
    p.length = length;
    uint32_t at = 0;
    while (at < injected_count && (injected[at].length != length || memcmp(injected[at].address, p.address, 4))) at++;
    if (withdraw) {
        encode_withdrawal(&scratch, AF_INET, &p);
        if (at < injected_count) injected[at] = injected[--injected_count];
        if (state == ESTABLISHED) send_buffer(&scratch);
        scratch.length = scratch.messages = 0;
    } else if (at == INJECTED_MAX) {
        puts("{\"error\":\"too many prefixes of its own\"}");
        return;
    } else {
        if (at == injected_count) injected_count++;
        injected[at] = p;
        send_injected(at, at + 1);
    }
    printf("{\"ok\":%s}\n", state == ESTABLISHED ? "true" : "false");
}

static void command(char *line) {
    unsigned a = 0, b = 0;
    if (!strcmp(line, "status")) { print_status(stdout); return; }
    if (!strcmp(line, "digest")) { print_digest(stdout); return; }
    if (!strncmp(line, "inject ", 7)) { inject(line + 7, 0); return; }
    if (!strncmp(line, "retract ", 8)) { inject(line + 8, 1); return; }
    if (!strcmp(line, "announce")) { announcing = 1; send_table(); }
    else if (sscanf(line, "churn %u %u", &a, &b) >= 1) {
        uint32_t most = table4.count && family4 ? table4.count : table6.count;
        churn_rate = a;
        churn_count = b && b < most ? b : most;
        churn_next = 0;
        churn_began = now();
        churn_due_before = 0;
        if (!most) churn_rate = 0;
    }
    else if (!strcmp(line, "settle")) settle();
    else if (sscanf(line, "expect %u %u", &a, &b) == 2) { 
        expect4 = a; expect6 = b; expecting = 1; seen.complete_at = 0;
        reserve_routes(&rib4, a); reserve_routes(&rib6, b);
    }
    else if (!strcmp(line, "mark")) {
        seen.window_began = now();
        seen.window_last_update = seen.longest_gap = seen.longest_gap_at = 0;
        latency_count = 0;
    }
    else if (!strcmp(line, "quit")) {
        /* RFC 4486: administrative shutdown, so that the router need not wait for the hold timer. */
        if (state == ESTABLISHED) notify_and_drop(6, 2, "asked to quit");
        puts("{\"ok\":true}");
        fflush(stdout);
        exit(0);
    }
    else { puts("{\"error\":\"unknown command\"}"); fflush(stdout); return; }
    puts("{\"ok\":true}");
}

/* ---------------------------------------------------------------- start and loop */

static void parse_address(const char *text, Address *address, unsigned with_port) {
    memset(address, 0, sizeof *address);
    struct sockaddr_in *v4 = (void *)address;
    struct sockaddr_in6 *v6 = (void *)address;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET; v4->sin_port = htons(with_port); address_length = sizeof *v4;
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6; v6->sin6_port = htons(with_port); address_length = sizeof *v6;
    } else die("%s is not an address", text);
}

static void start_listening(void) {
    Address at = local;
    int one = 1;
    ((struct sockaddr_in *)&at)->sin_port = htons(port);    /* the port lies at the same place in both families */
    listener = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    tune(listener);
    set_key(listener);
    if (bind(listener, (struct sockaddr *)&at, address_length) || listen(listener, 4)) die("listen: %s", strerror(errno));
}

static void accept_peer(void) {
    Address from;
    socklen_t length = sizeof from;
    int fd = accept4(listener, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    /* A session that runs or is being set up is kept: this program is never the one to cause a flap. */
    if (peer_socket >= 0 && state != CONNECTING) { close(fd); return; }
    if (peer_socket >= 0) close(peer_socket);
    peer_socket = fd;
    tune(fd);
    input_length = 0;
    opened();
}

int main(int argc, char **argv) {
    const char *v4 = NULL, *v6 = NULL, *attributes = NULL, *local_text = NULL, *remote_text = NULL;
    uint32_t limit4 = UINT32_MAX, limit6 = UINT32_MAX;
    int listening = 0;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(name, "--listen")) { listening = 1; continue; }
        if (!strcmp(name, "--passive")) { listening = 1; active = 0; continue; }
        if (!strcmp(name, "--count-only")) { keep_routes = 0; continue; }
        if (!value) die("%s needs a value", name);
        i++;
        if (!strcmp(name, "--local")) local_text = value;
        else if (!strcmp(name, "--remote")) remote_text = value;
        else if (!strcmp(name, "--as")) own_as = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--peer-as")) peer_as = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--hold")) hold_configured = atoi(value);
        else if (!strcmp(name, "--retry")) retry_delay = atof(value);
        else if (!strcmp(name, "--router-id")) { uint8_t id[4]; if (inet_pton(AF_INET, value, id) != 1) die("--router-id %s", value); router_id = get32(id); }
        else if (!strcmp(name, "--family")) { family4 = strchr(value, '4') != NULL; family6 = strchr(value, '6') != NULL; }
        else if (!strcmp(name, "--v4")) v4 = value;
        else if (!strcmp(name, "--v6")) v6 = value;
        else if (!strcmp(name, "--attributes")) attributes = value;
        else if (!strcmp(name, "--limit4")) limit4 = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--limit6")) limit6 = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--next-hop4")) { if (inet_pton(AF_INET, value, next_hop4) != 1) die("--next-hop4 %s", value); }
        else if (!strcmp(name, "--next-hop6")) { if (inet_pton(AF_INET6, value, next_hop6) != 1) die("--next-hop6 %s", value); }
        else if (!strcmp(name, "--md5")) md5_key = value;
        else die("unknown option %s", name);
    }
    if (!local_text || !remote_text || !own_as || !peer_as) die("needs --local, --remote, --as and --peer-as");
    if (strlen(md5_key) > TCP_MD5SIG_MAXKEYLEN) die("--md5: the key is too long");
    parse_address(remote_text, &remote, port);
    parse_address(local_text, &local, 0);
    if (!family4 && !family6) { family4 = local.ss_family == AF_INET; family6 = !family4; }
    if (local.ss_family == AF_INET && !get32(next_hop4)) memcpy(next_hop4, &((struct sockaddr_in *)&local)->sin_addr, 4);
    if (local.ss_family == AF_INET6 && !get64(next_hop6)) memcpy(next_hop6, &((struct sockaddr_in6 *)&local)->sin6_addr, 16);
    if (!router_id) router_id = mix(own_as) | 0x01000001;

    if (attributes) load_sets(attributes);
    if (v4) load_table(&table4, v4, AF_INET, limit4);
    if (v6) load_table(&table6, v6, AF_INET6, limit6);
    if (table4.count) { encode_table(&blob4, &table4, AF_INET); changes4 = calloc(table4.count + 1, sizeof *changes4); }
    if (table6.count) { encode_table(&blob6, &table6, AF_INET6); changes6 = calloc(table6.count + 1, sizeof *changes6); }
    latencies = grown(NULL, SAMPLES * sizeof *latencies);
    input = grown(NULL, INPUT_ROOM);
    signal(SIGPIPE, SIG_IGN);
    if (listening) start_listening();
    retry_at = now();

    char line[512];
    size_t line_length = 0;
    for (;;) {
        double at = now();
        if (peer_socket < 0 && active && at >= retry_at) { input_length = 0; start_connecting(); }
        churn(at);
        if (state == CONNECTING && at > hold_deadline) drop("no answer");
        else if (state > CONNECTING && at > hold_deadline) notify_and_drop(4, 0, "the hold timer expired");
        if (state >= OPEN_CONFIRM && hold_time && at >= keepalive_at) {
            send_message(KEEPALIVE, NULL, 0);
            keepalive_at = at + hold_time / 3.0;
        }
        if (state > CONNECTING) flush_queue();

        struct pollfd wait[3] = {
            { .fd = 0, .events = POLLIN },
            { .fd = peer_socket, .events = state == CONNECTING ? POLLOUT : POLLIN | (queue_count ? POLLOUT : 0) },
            { .fd = listener, .events = POLLIN },
        };
        if (poll(wait, 3, churn_rate ? 1 : 50) < 0 && errno != EINTR) die("poll: %s", strerror(errno));

        if (wait[1].revents && peer_socket >= 0) {
            if (state == CONNECTING) {
                int error = 0;
                socklen_t length = sizeof error;
                getsockopt(peer_socket, SOL_SOCKET, SO_ERROR, &error, &length);
                if (error) drop("connect: %s", strerror(error));
                else opened();
            } else {
                if (wait[1].revents & (POLLIN | POLLERR | POLLHUP)) receive();
            }
        }
        if (wait[2].revents & POLLIN) accept_peer();
        if (wait[0].revents) {
            ssize_t n = read(0, line + line_length, sizeof line - 1 - line_length);
            if (n <= 0) command((char[]){ "quit" });      /* whoever drove us is gone */
            line_length += n;
            line[line_length] = 0;
            for (char *end; (end = strchr(line, '\n'));) {
                *end = 0;
                command(line);
                fflush(stdout);
                line_length -= end + 1 - line;
                memmove(line, end + 1, line_length + 1);
            }
            if (line_length == sizeof line - 1) line_length = 0;
        }
    }
}
