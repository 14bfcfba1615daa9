/* The session: RFC 4271 §8 as far as a peer needs it that is never the slow one. */
#pragma once
#include "basics.h"

enum { IDLE, CONNECTING, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED };
extern const char *const state_names[];

typedef struct {
    int state;
    unsigned hold_time;                              /* as negotiated, in seconds */
    double retry_at, hold_deadline, keepalive_at;
    int announcing;                                  /* the table is to be sent whenever the session comes up */
    int table_sent;                                  /* in this session */
} Session;

extern Session session;

/* Encodes the tables once and for all. */
void prepare_tables(void);
/* The connection is there: sends OPEN. */
void opened(void);
/* One message without its header, which came in at `at`. */
void take_message(int type, const uint8_t *body, unsigned length, double at);
/* Hold timer, keepalives, the wait for a connection. */
void run_timers(double at);
/* Ends the session with a NOTIFICATION, or without one; the text says why. */
void notify_and_drop(int code, int subcode, const char *why);
__attribute__((format(printf, 1, 2))) void drop(const char *format, ...);

/* Queues the encoded table unless it was sent in this session or nobody asked for it. */
void send_table(void);
/* Queues what is in the buffer and empties it. */
void send_buffer(Buffer *buffer);
