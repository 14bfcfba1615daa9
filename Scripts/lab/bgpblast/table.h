/* The table to announce: prefixes and the attribute sets that they share, read from text files. */
#pragma once
#include <stdint.h>

typedef struct { uint8_t address[16]; uint8_t length; uint32_t set; } Prefix;
typedef struct {
    uint8_t *fixed;        /* ORIGIN, AS_PATH, MED, COMMUNITIES as they go on the wire, own AS in front */
    unsigned fixed_length;
    uint64_t hash;
} AttributeSet;

typedef struct { Prefix *all; uint32_t count; } Table;

extern Table table4, table6;
extern AttributeSet *sets;
extern uint32_t set_count;

/* One line of the file: "AS PATH;ORIGIN;MED;COMMUNITIES". Before load_table. */
void load_sets(const char *path);

/* One line of the file: "PREFIX/LENGTH NUMBER OF ITS SET". At most `limit` lines are taken. */
void load_table(Table *table, const char *path, int family, uint32_t limit);
