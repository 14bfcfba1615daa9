#include "lines.h"
#include "changes.h"
#include "injected.h"
#include "rib.h"
#include "seen.h"
#include "session.h"
#include "table.h"
#include "transport.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void print_status(FILE *out) {
    double at = now();
    /* A gap that is still open counts: a stream that died must not look smooth. */
    double gap = seen.longest_gap, gap_at = seen.longest_gap_at;
    if (seen.window_last_update && at - seen.window_last_update > gap) {
        gap = at - seen.window_last_update;
        gap_at = seen.window_last_update;
    }
    float p50 = 0, p99 = 0, most = 0;
    if (latency_count) {
        qsort(latencies, latency_count, sizeof *latencies, by_value);
        p50 = latencies[latency_count / 2];
        p99 = latencies[(uint64_t)latency_count * 99 / 100];
        most = latencies[latency_count - 1];
    }
    fprintf(out, "{\"state\":\"%s\",\"now\":%.6f,\"wall\":%.6f,\"established_count\":%u,\"dropped_count\":%u,"
        "\"established_at\":%.6f,\"dropped_at\":%.6f,\"uptime\":%.6f,\"hold_time\":%u,"
        "\"notifications_in\":%u,\"notifications_out\":%u,\"malformed\":%u,"
        "\"bytes_in\":%llu,\"bytes_out\":%llu,\"messages_in\":%llu,\"messages_out\":%llu,"
        "\"updates_in\":%llu,\"keepalives_in\":%llu,",
        state_names[session.state], at, clock_seconds(CLOCK_REALTIME), seen.established, seen.dropped,
        seen.established_at, seen.dropped_at, session.state == ESTABLISHED ? at - seen.established_at : 0, session.hold_time,
        seen.notifications_in, seen.notifications_out, seen.malformed,
        (unsigned long long)seen.bytes_in, (unsigned long long)seen.bytes_out, (unsigned long long)seen.messages_in,
        (unsigned long long)seen.messages_out, (unsigned long long)seen.updates_in, (unsigned long long)seen.keepalives_in);
    fprintf(out, "\"table4\":%u,\"table6\":%u,\"queued_bytes\":%zu,\"first_table_byte\":%.6f,\"last_table_byte\":%.6f,"
        "\"changes_sent\":%llu,\"changes_held\":%llu,"
        "\"routes4\":%u,\"routes6\":%u,\"announced4\":%llu,\"announced6\":%llu,\"withdrawn4\":%llu,\"withdrawn6\":%llu,"
        "\"first_update\":%.6f,\"last_update\":%.6f,\"last_input\":%.6f,"
        "\"end_of_rib4\":%.6f,\"end_of_rib6\":%.6f,\"complete_at\":%.6f,",
        table4.count, table6.count, queued_bytes, seen.first_table_byte, seen.last_table_byte,
        (unsigned long long)seen.changes_sent, (unsigned long long)seen.changes_held,
        rib4.present, rib6.present, (unsigned long long)rib4.announced, (unsigned long long)rib6.announced,
        (unsigned long long)rib4.withdrawn, (unsigned long long)rib6.withdrawn,
        seen.first_update, seen.last_update, seen.last_input, seen.end_of_rib4, seen.end_of_rib6, seen.complete_at);
    fprintf(out, "\"window_began\":%.6f,\"longest_gap\":%.6f,\"longest_gap_at\":%.6f,\"stamped\":%u,"
        "\"latency_median\":%.6f,\"latency_p99\":%.6f,\"latency_max\":%.6f,\"events_lost\":%u,\"events\":[",
        seen.window_began, gap, gap_at, latency_count, p50, p99, most, events_lost);
    for (unsigned i = 0; i < event_count; i++)
        fprintf(out, "%s{\"at\":%.6f,\"wall\":%.6f,\"text\":\"%s\"}", i ? "," : "", events[i].at, events[i].wall, events[i].text);
    fprintf(out, "]}\n");
    fflush(out);
}

static void print_digest(FILE *out) {
    uint32_t count4, count6;
    uint64_t sent4 = digest_table(&table4, changes4, &count4), sent6 = digest_table(&table6, changes6, &count6);
    fprintf(out, "{\"sent4\":\"%016llx\",\"sent6\":\"%016llx\",\"sent_count4\":%u,\"sent_count6\":%u,"
        "\"received4\":\"%016llx\",\"received6\":\"%016llx\",\"received_count4\":%u,\"received_count6\":%u}\n",
        (unsigned long long)sent4, (unsigned long long)sent6, count4, count6,
        (unsigned long long)digest_rib(&rib4), (unsigned long long)digest_rib(&rib6), rib4.present, rib6.present);
    fflush(out);
}

static void command(char *line) {
    unsigned a = 0, b = 0;
    if (!strcmp(line, "status")) { print_status(stdout); return; }
    if (!strcmp(line, "digest")) { print_digest(stdout); return; }
    if (!strncmp(line, "inject ", 7)) { inject(line + 7, 0); return; }
    if (!strncmp(line, "retract ", 8)) { inject(line + 8, 1); return; }
    if (!strcmp(line, "announce")) { session.announcing = 1; send_table(); }
    else if (sscanf(line, "churn %u %u", &a, &b) >= 1) begin_churn(a, b);
    else if (!strcmp(line, "settle")) settle();
    else if (sscanf(line, "expect %u %u", &a, &b) == 2) {
        expect4 = a; expect6 = b; expecting = 1; seen.complete_at = 0;
        reserve_routes(&rib4, a); reserve_routes(&rib6, b);
    }
    else if (!strcmp(line, "mark")) mark_window();
    else if (!strcmp(line, "quit")) {
        /* RFC 4486: administrative shutdown, so that the router need not wait for the hold timer. */
        if (session.state == ESTABLISHED) notify_and_drop(6, 2, "asked to quit");
        puts("{\"ok\":true}");
        fflush(stdout);
        exit(0);
    }
    else { puts("{\"error\":\"unknown command\"}"); fflush(stdout); return; }
    puts("{\"ok\":true}");
}

void read_lines(void) {
    static char line[512];
    static size_t line_length;
    ssize_t n = read(0, line + line_length, sizeof line - 1 - line_length);
    if (n <= 0) command((char[]){ "quit" });      /* whoever drove us is gone */
    line_length += n;
    line[line_length] = 0;
    for (char *end; (end = strchr(line, '\n'));) {
        *end = 0;
        command(line);
        fflush(stdout);
        line_length -= end + 1 - line;
        memmove(line, end + 1, line_length + 1);
    }
    if (line_length == sizeof line - 1) line_length = 0;
}
