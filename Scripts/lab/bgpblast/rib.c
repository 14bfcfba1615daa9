#include "rib.h"
#include "basics.h"
#include "hash.h"
#include <stdlib.h>
#include <string.h>

RIB rib4, rib6;

void reserve_routes(RIB *rib, uint32_t count) {
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

void forget_routes(RIB *rib) {
    if (rib->slots) memset(rib->slots, 0, rib->capacity * sizeof *rib->slots);
    rib->filled = rib->present = 0;
}

uint64_t digest_rib(const RIB *rib) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < rib->capacity; i++) {
        const Route *r = &rib->slots[i];
        if (r->attributes) sum += route_hash(r->key, r->attributes);
    }
    return sum;
}
