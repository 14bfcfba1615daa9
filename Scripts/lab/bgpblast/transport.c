#define _GNU_SOURCE
#include "transport.h"
#include "basics.h"
#include "bgp.h"
#include "config.h"
#include "seen.h"
#include "session.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int peer_socket = -1, listener = -1;

/* What came in and is no whole message yet. */
enum { INPUT_ROOM = 4 << 20 };
static uint8_t input[INPUT_ROOM];
static size_t input_length;

/* What waits to be written: the encoded table is queued by reference, everything else is copied. */
typedef struct { const uint8_t *bytes; size_t length; uint8_t *owned; int is_table; } Segment;
static Segment *queue;
static uint32_t queue_first, queue_count, queue_room;
static size_t queue_offset;
size_t queued_bytes;

void enqueue(const uint8_t *bytes, size_t length, int copy, int is_table) {
    if (!length) return;
    if (queue_first + queue_count == queue_room) {
        if (queue_first > queue_room / 2) {
            memmove(queue, queue + queue_first, queue_count * sizeof *queue);
            queue_first = 0;
        } else {
            queue_room = queue_room ? queue_room * 2 : 256;
            queue = grown(queue, queue_room * sizeof *queue);
        }
    }
    Segment *segment = &queue[queue_first + queue_count++];
    segment->length = length;
    segment->is_table = is_table;
    segment->owned = NULL;
    segment->bytes = bytes;
    if (copy) {
        segment->owned = grown(NULL, length);
        memcpy(segment->owned, bytes, length);
        segment->bytes = segment->owned;
    }
    queued_bytes += length;
}

static void clear_queue(void) {
    for (uint32_t i = 0; i < queue_count; i++) free(queue[queue_first + i].owned);
    queue_first = queue_count = 0;
    queue_offset = queued_bytes = 0;
}

int has_queued(void) { return queue_count > 0; }

void flush_queue(void) {
    while (queue_count && peer_socket >= 0) {
        Segment *segment = &queue[queue_first];
        ssize_t n = send(peer_socket, segment->bytes + queue_offset, segment->length - queue_offset, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR) return;
            drop("send: %s", strerror(errno));
            return;
        }
        seen.bytes_out += n;
        if (segment->is_table) {
            seen.last_table_byte = now();
            if (!seen.first_table_byte) seen.first_table_byte = seen.last_table_byte;
        }
        queued_bytes -= n;
        queue_offset += n;
        if (queue_offset == segment->length) {
            free(segment->owned);
            queue_offset = 0;
            queue_first++;
            if (!--queue_count) queue_first = 0;
        }
    }
}

static void set_key(int fd) {
    if (!*config.md5_key) return;
    struct tcp_md5sig key = { .tcpm_keylen = strlen(config.md5_key) };
    memcpy(&key.tcpm_addr, &config.remote, config.address_length);
    memcpy(key.tcpm_key, config.md5_key, key.tcpm_keylen);
    if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key)) die("TCP_MD5SIG: %s", strerror(errno));
}

static void tune(int fd) {
    int one = 1, large = 8 << 20;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
}

void start_connecting(void) {
    input_length = 0;
    peer_socket = socket(config.local.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer_socket < 0) die("socket: %s", strerror(errno));
    tune(peer_socket);
    set_key(peer_socket);
    if (bind(peer_socket, (struct sockaddr *)&config.local, config.address_length)) die("bind: %s", strerror(errno));
    session.state = CONNECTING;
    session.hold_deadline = now() + 3;
    if (connect(peer_socket, (struct sockaddr *)&config.remote, config.address_length) && errno != EINPROGRESS)
        drop("connect: %s", strerror(errno));
}

void finish_connecting(void) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(peer_socket, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) drop("connect: %s", strerror(error));
    else opened();
}

void hang_up(void) {
    if (peer_socket >= 0) close(peer_socket);
    peer_socket = -1;
    clear_queue();
}

void start_listening(void) {
    Address at = config.local;
    int one = 1;
    ((struct sockaddr_in *)&at)->sin_port = htons(config.port);    /* the port lies at the same place in both families */
    listener = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    tune(listener);
    set_key(listener);
    if (bind(listener, (struct sockaddr *)&at, config.address_length) || listen(listener, 4)) die("listen: %s", strerror(errno));
}

void accept_peer(void) {
    Address from;
    socklen_t length = sizeof from;
    int fd = accept4(listener, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    /* A session that runs or is being set up is kept: this program is never the one to cause a flap. */
    if (peer_socket >= 0 && session.state != CONNECTING) { close(fd); return; }
    if (peer_socket >= 0) close(peer_socket);
    peer_socket = fd;
    tune(fd);
    input_length = 0;
    opened();
}

void receive(void) {
    for (int rounds = 0; rounds < 16 && peer_socket >= 0; rounds++) {
        ssize_t n = recv(peer_socket, input + input_length, INPUT_ROOM - input_length, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n < 0) { drop("receive: %s", strerror(errno)); return; }
        if (n == 0) { drop("the peer closed the connection"); return; }
        double at = now();
        seen.last_input = at;
        seen.bytes_in += n;
        input_length += n;
        size_t done = 0;
        while (input_length - done >= HEADER) {
            const uint8_t *m = input + done;
            unsigned length = get16(m + 16);
            if (get64(m) != UINT64_MAX || get64(m + 8) != UINT64_MAX) {
                seen.malformed++;
                notify_and_drop(1, 1, "the marker is not all ones: the byte stream is broken");
                break;
            }
            if (length < HEADER || length > LARGEST) {
                seen.malformed++;
                notify_and_drop(1, 2, "bad message length");
                break;
            }
            if (input_length - done < length) break;
            take_message(m[18], m + HEADER, length - HEADER, at);
            if (peer_socket < 0) break;
            done += length;
        }
        if (peer_socket < 0) { input_length = 0; return; }
        memmove(input, input + done, input_length - done);
        input_length -= done;
    }
}
