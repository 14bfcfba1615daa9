#define _GNU_SOURCE
#include "table.h"
#include "basics.h"
#include "config.h"
#include "hash.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Table table4, table6;
AttributeSet *sets;
uint32_t set_count;

void load_table(Table *table, const char *path, int family, uint32_t limit) {
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

void load_sets(const char *path) {
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
        put32(out + n, config.own_as); n += 4;
        hash = path_hash(hash, config.own_as);
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
