/*
 * How loss is proven. Source and sink each keep the set of routes they believe in. A digest of that set
 * (prefix, origin, AS path without the announcing router, communities) does not depend on order, so equal
 * digests at both ends mean that the router in between lost, doubled and mangled nothing. Communities are
 * summed, since some routers sort them.
 */
#pragma once
#include <stdint.h>

enum { LARGE_COMMUNITY_TAG = 32, COMMUNITY_TAG = 8 };

static inline uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t path_hash(uint64_t so_far, uint32_t as) { return mix(so_far ^ as) + 1; }
static inline uint64_t community_hash(uint32_t c) { return mix((uint64_t)COMMUNITY_TAG << 56 | c); }
static inline uint64_t large_hash(uint32_t a, uint32_t b, uint32_t c) {
    return mix(mix((uint64_t)a << 32 | b) ^ ((uint64_t)LARGE_COMMUNITY_TAG << 56 | c));
}
static inline uint64_t prefix_key(uint64_t high, uint64_t low, unsigned length) {
    uint64_t key = mix(high + length * 0xd1342543de82ef95u);
    if (low) key = mix(key ^ low);
    return key ? key : 1;
}
static inline uint64_t route_hash(uint64_t key, uint64_t attributes) { return mix(key ^ mix(attributes)); }
