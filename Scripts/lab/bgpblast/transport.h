/* The TCP connection: connecting, listening, TCP MD5 (RFC 2385), what waits to be written, octets into messages. */
#pragma once
#include <stddef.h>
#include <stdint.h>

extern int peer_socket, listener;        /* -1: none */
extern size_t queued_bytes;

void start_connecting(void);
/* The socket of start_connecting is writable: it is connected, or could not be. */
void finish_connecting(void);
void start_listening(void);
void accept_peer(void);
/* Closes the connection and forgets what waited to be written. */
void hang_up(void);

/* Queues octets; without `copy` by reference. `is_table`: they are of the encoded table, whose sending is timed. */
void enqueue(const uint8_t *bytes, size_t length, int copy, int is_table);
/* Writes as much as the socket takes. */
void flush_queue(void);
int has_queued(void);
/* Reads what has come and hands every whole message to the session. */
void receive(void);
