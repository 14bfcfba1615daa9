/* The routes received, in a hash table with open addressing. */
#pragma once
#include <stdint.h>

/* A prefix is known by 64 bits of its hash: at a million routes the chance that any two meet is one in
   thirty million, and a route then costs a quarter of a cache line. */
typedef struct { uint64_t key, attributes; } Route;      /* key 0: free; attributes 0: withdrawn */
typedef struct { Route *slots; uint32_t capacity, filled, present; uint64_t announced, withdrawn; } RIB;

extern RIB rib4, rib6;

/* The slot of the key, or the free one where it belongs. The table is not empty. */
static inline Route *find_route(const RIB *rib, uint64_t key) {
    uint32_t mask = rib->capacity - 1, i = key & mask;
    while (rib->slots[i].key && rib->slots[i].key != key) i = (i + 1) & mask;
    return &rib->slots[i];
}

/* Makes room for so many routes in all. */
void reserve_routes(RIB *rib, uint32_t count);
void forget_routes(RIB *rib);
/* Of all routes, whatever their order (hash.h). */
uint64_t digest_rib(const RIB *rib);
