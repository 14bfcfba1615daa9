/* What every part needs: the end with a message, the clock, memory, octets in network order, a growing buffer. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Ends the program with a message on standard error and status 2. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

double clock_seconds(clockid_t id);
static inline double now(void) { return clock_seconds(CLOCK_MONOTONIC); }

/* realloc that does not fail. */
void *grown(void *memory, size_t size);

static inline void put16(uint8_t *at, unsigned v) { at[0] = v >> 8; at[1] = v; }
static inline void put32(uint8_t *at, uint32_t v) { put16(at, v >> 16); put16(at + 2, v & 0xffff); }
static inline unsigned get16(const uint8_t *at) { return at[0] << 8 | at[1]; }
static inline uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }
static inline uint64_t get64(const uint8_t *at) { return (uint64_t)get32(at) << 32 | get32(at + 4); }

/* Encoded messages, one behind the other. */
typedef struct { uint8_t *bytes; size_t length, room; uint32_t messages; } Buffer;

/* Makes room for so many octets more and returns where they begin. */
uint8_t *reserve(Buffer *buffer, size_t more);
