#define _GNU_SOURCE
#include "config.h"
#include "basics.h"
#include "hash.h"
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

Config config = {
    .hold_time = 90, .port = 179, .active = 1, .keep_routes = 1, .md5_key = "", .retry_delay = 0.5,
    .limit4 = UINT32_MAX, .limit6 = UINT32_MAX,
};

static void parse_address(const char *text, Address *address, unsigned with_port) {
    memset(address, 0, sizeof *address);
    struct sockaddr_in *v4 = (void *)address;
    struct sockaddr_in6 *v6 = (void *)address;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET; v4->sin_port = htons(with_port); config.address_length = sizeof *v4;
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6; v6->sin6_port = htons(with_port); config.address_length = sizeof *v6;
    } else die("%s is not an address", text);
}

static void parse_exactly(int family, const char *name, const char *value, void *address) {
    if (inet_pton(family, value, address) != 1) die("%s %s", name, value);
}

/* What follows from the rest where nothing else is said. */
static void fill_defaults(void) {
    if (!config.family4 && !config.family6) {
        config.family4 = config.local.ss_family == AF_INET;
        config.family6 = !config.family4;
    }
    if (config.local.ss_family == AF_INET && !get32(config.next_hop4))
        memcpy(config.next_hop4, &((struct sockaddr_in *)&config.local)->sin_addr, 4);
    if (config.local.ss_family == AF_INET6 && !get64(config.next_hop6))
        memcpy(config.next_hop6, &((struct sockaddr_in6 *)&config.local)->sin6_addr, 16);
    if (!config.router_id) config.router_id = mix(config.own_as) | 0x01000001;
}

void parse_arguments(int argc, char **argv) {
    const char *local_text = NULL, *remote_text = NULL;
    uint8_t id[4];
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(name, "--listen")) { config.listening = 1; continue; }
        if (!strcmp(name, "--passive")) { config.listening = 1; config.active = 0; continue; }
        if (!strcmp(name, "--count-only")) { config.keep_routes = 0; continue; }
        if (!value) die("%s needs a value", name);
        i++;
        if (!strcmp(name, "--local")) local_text = value;
        else if (!strcmp(name, "--remote")) remote_text = value;
        else if (!strcmp(name, "--as")) config.own_as = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--peer-as")) config.peer_as = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--port")) config.port = atoi(value);
        else if (!strcmp(name, "--hold")) config.hold_time = atoi(value);
        else if (!strcmp(name, "--retry")) config.retry_delay = atof(value);
        else if (!strcmp(name, "--router-id")) { parse_exactly(AF_INET, name, value, id); config.router_id = get32(id); }
        else if (!strcmp(name, "--family")) {
            config.family4 = strchr(value, '4') != NULL;
            config.family6 = strchr(value, '6') != NULL;
        }
        else if (!strcmp(name, "--v4")) config.v4 = value;
        else if (!strcmp(name, "--v6")) config.v6 = value;
        else if (!strcmp(name, "--attributes")) config.attributes = value;
        else if (!strcmp(name, "--limit4")) config.limit4 = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--limit6")) config.limit6 = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--next-hop4")) parse_exactly(AF_INET, name, value, config.next_hop4);
        else if (!strcmp(name, "--next-hop6")) parse_exactly(AF_INET6, name, value, config.next_hop6);
        else if (!strcmp(name, "--md5")) config.md5_key = value;
        else die("unknown option %s", name);
    }
    if (!local_text || !remote_text || !config.own_as || !config.peer_as) die("needs --local, --remote, --as and --peer-as");
    if (strlen(config.md5_key) > TCP_MD5SIG_MAXKEYLEN) die("--md5: the key is too long");
    parse_address(remote_text, &config.remote, config.port);
    parse_address(local_text, &config.local, 0);
    fill_defaults();
}
