/* What the command line says. */
#pragma once
#include <stdint.h>
#include <sys/socket.h>

typedef struct sockaddr_storage Address;

typedef struct {
    uint32_t own_as, peer_as;
    uint8_t next_hop4[4], next_hop6[16];
    Address local, remote;
    socklen_t address_length;             /* of both */
    unsigned hold_time, port;
    uint32_t router_id;
    int family4, family6;                 /* address families to speak of */
    int active, listening;                /* connects by itself; waits for the peer to connect */
    int keep_routes;                      /* 0: received routes are only counted */
    const char *md5_key;                  /* RFC 2385; empty: none */
    double retry_delay;
    const char *v4, *v6, *attributes;     /* files of the table, or NULL */
    uint32_t limit4, limit6;              /* routes of them to take */
} Config;

extern Config config;

/* Fills `config`; ends the program when something is missing or wrong. */
void parse_arguments(int argc, char **argv);
