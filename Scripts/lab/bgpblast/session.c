#define _GNU_SOURCE
#include "session.h"
#include "bgp.h"
#include "changes.h"
#include "config.h"
#include "decode.h"
#include "encode.h"
#include "injected.h"
#include "rib.h"
#include "seen.h"
#include "table.h"
#include "transport.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

const char *const state_names[] = { "idle", "connecting", "open-sent", "open-confirm", "established" };

Session session;
static Buffer blob4, blob6;

void prepare_tables(void) {
    if (table4.count) encode_table(&blob4, &table4, AF_INET);
    if (table6.count) encode_table(&blob6, &table6, AF_INET6);
}

void drop(const char *format, ...) {
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    hang_up();
    if (session.state == ESTABLISHED) {
        seen.dropped++;
        seen.dropped_at = now();
        note("session lost: %s", text);
    } else if (session.state > CONNECTING) {
        note("session not set up: %s", text);
    }
    session.state = IDLE;
    session.table_sent = 0;
    session.retry_at = now() + config.retry_delay;
    forget_routes(&rib4);
    forget_routes(&rib6);
}

static void send_message(int type, const uint8_t *body, unsigned length) {
    uint8_t message[LARGEST];
    memset(message, 0xff, 16);
    put16(message + 16, HEADER + length);
    message[18] = type;
    if (length) memcpy(message + HEADER, body, length);
    enqueue(message, HEADER + length, 1, 0);
    seen.messages_out++;
}

static void send_open(void) {
    uint8_t body[64], *c = body + 12;
    body[0] = 4;
    put16(body + 1, config.own_as > 65535 ? 23456 : config.own_as);
    put16(body + 3, config.hold_time);
    put32(body + 5, config.router_id);
    body[10] = 2;
    if (config.family4) { memcpy(c, "\x01\x04\x00\x01\x00\x01", 6); c += 6; }
    if (config.family6) { memcpy(c, "\x01\x04\x00\x02\x00\x01", 6); c += 6; }
    memcpy(c, "\x02\x00", 2); c += 2;
    memcpy(c, "\x41\x04", 2); put32(c + 2, config.own_as); c += 6;
    body[11] = c - body - 12;
    body[9] = body[11] + 2;
    send_message(OPEN, body, c - body);
}

void notify_and_drop(int code, int subcode, const char *why) {
    uint8_t body[2] = { code, subcode };
    send_message(NOTIFICATION, body, 2);
    seen.notifications_out++;
    flush_queue();
    drop("we sent NOTIFICATION %d/%d: %s", code, subcode, why);
}

void opened(void) {
    session.state = OPEN_SENT;
    session.hold_deadline = now() + 30;
    send_open();
}

void send_table(void) {
    if (!session.announcing || session.table_sent || session.state != ESTABLISHED) return;
    session.table_sent = 1;
    seen.first_table_byte = seen.last_table_byte = 0;
    if (config.family4 && table4.count) { enqueue(blob4.bytes, blob4.length, 0, 1); seen.messages_out += blob4.messages; }
    if (config.family6 && table6.count) { enqueue(blob6.bytes, blob6.length, 0, 1); seen.messages_out += blob6.messages; }
}

void send_buffer(Buffer *buffer) {
    seen.messages_out += buffer->messages;
    enqueue(buffer->bytes, buffer->length, 1, 0);
    buffer->length = buffer->messages = 0;
}

void take_message(int type, const uint8_t *body, unsigned length, double at) {
    seen.messages_in++;
    session.hold_deadline = session.hold_time ? at + session.hold_time : at + 1e9;
    const char *fault;
    switch (type) {
    case OPEN:
        if (session.state != OPEN_SENT || length < 10) { notify_and_drop(5, 0, "unexpected OPEN"); return; }
        session.hold_time = get16(body + 3) < config.hold_time ? get16(body + 3) : config.hold_time;
        send_message(KEEPALIVE, NULL, 0);
        session.keepalive_at = at + session.hold_time / 3.0;
        session.hold_deadline = session.hold_time ? at + session.hold_time : at + 1e9;
        session.state = OPEN_CONFIRM;
        return;
    case KEEPALIVE:
        seen.keepalives_in++;
        if (session.state != OPEN_CONFIRM) return;
        session.state = ESTABLISHED;
        seen.established++;
        seen.established_at = at;
        note("established, hold time %u s", session.hold_time);
        forget_changes();
        send_table();
        send_all_injected();
        return;
    case NOTIFICATION:
        seen.notifications_in++;
        drop("the peer sent NOTIFICATION %d/%d", length > 0 ? body[0] : 0, length > 1 ? body[1] : 0);
        return;
    case REFRESH:
        session.table_sent = 0;
        forget_changes();
        send_table();
        send_all_injected();
        return;
    case UPDATE:
        if (session.state != ESTABLISHED) { notify_and_drop(5, 0, "unexpected UPDATE"); return; }
        seen.updates_in++;
        fault = take_update(body, length, at);
        if (fault && ++seen.malformed <= 20) note("malformed UPDATE: %s", fault);
        return;
    default:
        notify_and_drop(1, 3, "bad message type");
    }
}

void run_timers(double at) {
    if (session.state == CONNECTING && at > session.hold_deadline) drop("no answer");
    else if (session.state > CONNECTING && at > session.hold_deadline) notify_and_drop(4, 0, "the hold timer expired");
    if (session.state >= OPEN_CONFIRM && session.hold_time && at >= session.keepalive_at) {
        send_message(KEEPALIVE, NULL, 0);
        session.keepalive_at = at + session.hold_time / 3.0;
    }
}
