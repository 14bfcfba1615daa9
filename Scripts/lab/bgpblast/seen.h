/* What is told about the session: events, counters, times, latencies. */
#pragma once
#include <stdint.h>

/* Times are CLOCK_MONOTONIC seconds unless a name says "wall"; every process of a machine shares that clock. */
typedef struct { double at, wall; char text[160]; } Event;
enum { EVENTS = 2000 };
extern Event events[EVENTS];
extern unsigned event_count, events_lost;

/* Remembers an event; its text can stand in JSON. */
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);

typedef struct {
    unsigned established, dropped, notifications_in, notifications_out, malformed;
    double established_at, dropped_at;
    uint64_t bytes_in, bytes_out, messages_in, messages_out, updates_in, keepalives_in;
    double first_table_byte, last_table_byte;        /* sent */
    double first_update, last_update, end_of_rib4, end_of_rib6, complete_at, last_input;
    uint64_t changes_sent, changes_held;
    double window_began, window_last_update, longest_gap, longest_gap_at;
    uint32_t first_as_wrong;
} Seen;

extern Seen seen;

/* How long changes took to get here, in seconds: the first so many since the last mark. */
enum { SAMPLES = 1 << 20 };
extern float *latencies;
extern uint32_t latency_count;

/* How many routes are "the whole table" for a sink, if it was told. */
extern uint32_t expect4, expect6;
extern int expecting;

void make_room_for_samples(void);
/* Begins a new measuring window: latency, longest gap between updates. */
void mark_window(void);
/* An UPDATE came in. */
void see_update(double at);
