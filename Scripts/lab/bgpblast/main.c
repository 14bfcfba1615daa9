/*
 * bgpblast: one BGP session, as fast as a socket allows.
 *
 * The lab and the benchmark need a peer that is never the slow one: it announces a whole Internet table
 * from a buffer encoded beforehand, keeps on changing chosen prefixes at a given rate, and receives the
 * same from the router under test while checking every message. It is source and sink in one program,
 * since a real neighbour is both.
 *
 * It is driven by lines on standard input and answers each with one line of JSON on standard output:
 *
 *   announce             send the table (and send it again whenever the session comes back)
 *   churn RATE COUNT     change COUNT prefixes of the table in turn, RATE changes a second; 0 stops
 *   settle               stop the churn and announce again whatever it had withdrawn
 *   inject PREFIX        announce one IPv4 prefix of its own, now and whenever the session comes back;
 *   retract PREFIX       withdraws it and forgets it
 *   expect N4 N6         how many routes are "the whole table" for a sink: notes when they were all there
 *   mark                 begin a new measuring window (latency, longest gap between updates)
 *   status, digest, quit
 *
 *   config     the command line              decode     a received UPDATE, checked
 *   table      the table to announce         rib        the routes received
 *   encode     UPDATE messages               changes    churn of the table
 *   session    states and messages           injected   prefixes besides the table
 *   transport  the connection, TCP MD5       seen       what is told about the session
 *   hash       how loss is proven            lines      the commands above
 *
 * Changes made by churn carry the time in a large community (RFC 8092), from which the sink knows how long
 * each took. All times are CLOCK_MONOTONIC seconds unless a name says "wall"; every process of a machine
 * shares it.
 */
#include "basics.h"
#include "changes.h"
#include "config.h"
#include "lines.h"
#include "seen.h"
#include "session.h"
#include "table.h"
#include "transport.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

static void prepare(void) {
    if (config.attributes) load_sets(config.attributes);
    if (config.v4) load_table(&table4, config.v4, AF_INET, config.limit4);
    if (config.v6) load_table(&table6, config.v6, AF_INET6, config.limit6);
    prepare_tables();
    prepare_changes();
    make_room_for_samples();
}

int main(int argc, char **argv) {
    parse_arguments(argc, argv);
    prepare();
    signal(SIGPIPE, SIG_IGN);
    if (config.listening) start_listening();
    session.retry_at = now();

    for (double ran_at = now();;) {
        double at = now();
        /* A peer that was not allowed to run says so: what it sent late is not the router's fault. */
        if (at - ran_at > 0.5) note("this peer did not run for %.0f ms", (at - ran_at) * 1000);
        ran_at = at;
        if (peer_socket < 0 && config.active && at >= session.retry_at) start_connecting();
        churn(at);
        run_timers(at);
        if (session.state > CONNECTING) flush_queue();

        struct pollfd wait[3] = {
            { .fd = 0, .events = POLLIN },
            { .fd = peer_socket, .events = session.state == CONNECTING ? POLLOUT : POLLIN | (has_queued() ? POLLOUT : 0) },
            { .fd = listener, .events = POLLIN },
        };
        if (poll(wait, 3, churn_rate ? 1 : 50) < 0 && errno != EINTR) die("poll: %s", strerror(errno));

        if (wait[1].revents && peer_socket >= 0) {
            if (session.state == CONNECTING) finish_connecting();
            else if (wait[1].revents & (POLLIN | POLLERR | POLLHUP)) receive();
        }
        if (wait[2].revents & POLLIN) accept_peer();
        if (wait[0].revents) read_lines();
    }
}
