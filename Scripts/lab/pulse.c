/*
 * pulse: asks the router for an echo at a steady rate, so that its silence can be seen on the wire.
 *
 *   pulse LOCAL REMOTE INTERVAL_MICROSECONDS
 *
 * Lines on standard input are answered with a line of JSON: "mark" begins a new window, "status", "quit".
 * Only the sending and the counting happen here; the judgement of silence is the capture's.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static uint16_t checksum(const void *bytes, size_t length) {
    const uint16_t *word = bytes;
    uint32_t sum = 0;
    for (; length > 1; length -= 2) sum += *word++;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

int main(int argc, char **argv) {
    if (argc != 4) { fprintf(stderr, "usage: pulse LOCAL REMOTE INTERVAL_MICROSECONDS\n"); return 2; }
    struct sockaddr_in local = { .sin_family = AF_INET }, remote = { .sin_family = AF_INET };
    double interval = atof(argv[3]) / 1e6;
    if (inet_pton(AF_INET, argv[1], &local.sin_addr) != 1 || inet_pton(AF_INET, argv[2], &remote.sin_addr) != 1
        || interval <= 0) {
        fprintf(stderr, "pulse: bad argument\n");
        return 2;
    }
    int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
    if (fd < 0 || bind(fd, (void *)&local, sizeof local) || connect(fd, (void *)&remote, sizeof remote)) {
        perror("pulse");
        return 1;
    }
    uint16_t identifier = getpid() & 0xffff, sequence = 0;
    uint64_t sent = 0, received = 0;
    double next = now(), last_answer = 0, longest = 0, longest_at = 0;
    for (;;) {
        double at = now();
        if (at - next > 0.1) next = at;       /* after a pause of our own do not catch up in a burst */
        while (next <= at) {
            struct { struct icmphdr header; uint8_t data[16]; } echo = { 0 };
            echo.header.type = ICMP_ECHO;
            echo.header.un.echo.id = htons(identifier);
            echo.header.un.echo.sequence = htons(sequence++);
            echo.header.checksum = checksum(&echo, sizeof echo);
            if (send(fd, &echo, sizeof echo, 0) == sizeof echo) sent++;
            next += interval;
        }
        struct pollfd wait[2] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
        double pause = next - now();
        struct timespec timeout = { .tv_nsec = pause > 0 ? pause * 1e9 : 0 };
        ppoll(wait, 2, &timeout, NULL);
        if (wait[1].revents) {
            uint8_t packet[256];
            ssize_t n;
            while ((n = recv(fd, packet, sizeof packet, 0)) >= 28) {
                const struct icmphdr *answer = (void *)(packet + (packet[0] & 15) * 4);
                if (answer->type != ICMP_ECHOREPLY || answer->un.echo.id != htons(identifier)) continue;
                at = now();
                if (last_answer && at - last_answer > longest) { longest = at - last_answer; longest_at = last_answer; }
                last_answer = at;
                received++;
            }
        }
        if (wait[0].revents) {
            char line[128];
            ssize_t n = read(0, line, sizeof line - 1);
            if (n <= 0) return 0;
            line[n] = 0;
            if (!strncmp(line, "mark", 4)) sent = received = 0, last_answer = longest = longest_at = 0;
            printf("{\"sent\":%llu,\"received\":%llu,\"last_answer\":%.6f,\"longest_silence\":%.6f,"
                   "\"longest_silence_at\":%.6f,\"now\":%.6f}\n", (unsigned long long)sent,
                   (unsigned long long)received, last_answer, longest, longest_at, now());
            fflush(stdout);
            if (!strncmp(line, "quit", 4)) return 0;
        }
    }
}
