#include "encode.h"
#include "bgp.h"
#include "config.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

void encode_announcement(Buffer *buffer, int family, const Prefix **list, uint32_t count,
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
            memcpy(m + n + 4, config.next_hop6, 16);
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
            memcpy(m + n + 3, config.next_hop4, 4);
            n += 7;
        }
        if (stamp) {
            m[n] = 0xc0; m[n + 1] = 32; m[n + 2] = 12;
            put32(m + n + 3, config.own_as);
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

void encode_withdrawal(Buffer *buffer, int family, const Prefix *p) {
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

void encode_table(Buffer *buffer, const Table *table, int family) {
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
