#include "decode.h"
#include "basics.h"
#include "bgp.h"
#include "config.h"
#include "hash.h"
#include "rib.h"
#include "seen.h"
#include <string.h>
#include <sys/socket.h>

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

const char *take_update(const uint8_t *body, unsigned length, double at) {
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
        if (hop_count == 0 || hops[0] != config.peer_as) { seen.first_as_wrong++; return "the first AS is not the peer's"; }
        path = mix(origin);
        for (unsigned i = 1; i < hop_count; i++) path = path_hash(path, hops[i]);
        path = mix(path) + sum;
        if (!path) path = 1;
    }

    if (config.keep_routes) {
        if (take_prefixes(&rib4, withdrawn, attributes - 2, AF_INET, 0)) return "bad prefix in withdrawn routes";
        if (take_prefixes(&rib4, nlri, end, AF_INET, path)) return "bad prefix in NLRI";
        if (unreach) {
            if (unreach_length < 3 || get16(unreach) != 2) return "bad MP_UNREACH_NLRI";
            if (take_prefixes(&rib6, unreach + 3, unreach + unreach_length, AF_INET6, 0)) return "bad prefix in MP_UNREACH_NLRI";
        }
        if (reach) {
            if (reach_length < 5 || get16(reach) != 2 || 5u + reach[3] > reach_length) return "bad MP_REACH_NLRI";
            if (take_prefixes(&rib6, reach + 5 + reach[3], reach + reach_length, AF_INET6, path))
                return "bad prefix in MP_REACH_NLRI";
        }
    }

    see_update(at);
    if (stamp && latency_count < SAMPLES) latencies[latency_count++] = at - stamp / 1e6;
    if (expecting && !seen.complete_at && rib4.present >= expect4 && rib6.present >= expect6) seen.complete_at = at;
    return NULL;
}
