#define _GNU_SOURCE
#include "seen.h"
#include "basics.h"
#include <stdarg.h>
#include <stdio.h>

Event events[EVENTS];
unsigned event_count, events_lost;

void note(const char *format, ...) {
    if (event_count == EVENTS) { events_lost++; return; }
    Event *event = &events[event_count++];
    event->at = now();
    event->wall = clock_seconds(CLOCK_REALTIME);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(event->text, sizeof event->text, format, arguments);
    va_end(arguments);
    for (char *c = event->text; *c; c++) if (*c == '"' || *c == '\\' || *c < ' ') *c = '\'';
}

Seen seen;
float *latencies;
uint32_t latency_count;
uint32_t expect4, expect6;
int expecting;

void make_room_for_samples(void) { latencies = grown(NULL, SAMPLES * sizeof *latencies); }

void mark_window(void) {
    seen.window_began = now();
    seen.window_last_update = seen.longest_gap = seen.longest_gap_at = 0;
    latency_count = 0;
}

void see_update(double at) {
    if (!seen.first_update) seen.first_update = at;
    if (seen.window_last_update && at - seen.window_last_update > seen.longest_gap) {
        seen.longest_gap = at - seen.window_last_update;
        seen.longest_gap_at = seen.window_last_update;
    }
    seen.window_last_update = seen.last_update = at;
}
