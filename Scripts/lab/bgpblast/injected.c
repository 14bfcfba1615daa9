#include "injected.h"
#include "basics.h"
#include "config.h"
#include "encode.h"
#include "session.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static Buffer scratch;

enum { INJECTED_MAX = 64 };
static Prefix injected[INJECTED_MAX];
static uint32_t injected_count;

static void send_injected(uint32_t from, uint32_t to) {
    uint8_t plain[64];
    memcpy(plain, "\x40\x01\x01\x00\x40\x02\x06\x02\x01", 9);
    put32(plain + 9, config.own_as);
    AttributeSet set = { .fixed = plain, .fixed_length = 13 };
    for (uint32_t i = from; i < to; i++) {
        const Prefix *one = &injected[i];
        encode_announcement(&scratch, AF_INET, &one, 1, &set, 0);
    }
    if (session.state == ESTABLISHED) send_buffer(&scratch);
    scratch.length = scratch.messages = 0;
}

void send_all_injected(void) { send_injected(0, injected_count); }

void inject(const char *text, int withdraw) {
    Prefix p = { 0 };
    char address[64];
    unsigned length;
    if (sscanf(text, " %63[0-9.]/%u", address, &length) != 2 || length > 32 || inet_pton(AF_INET, address, p.address) != 1) {
        puts("{\"error\":\"not an IPv4 prefix\"}");
        return;
    }
    p.length = length;
    uint32_t at = 0;
    while (at < injected_count && (injected[at].length != length || memcmp(injected[at].address, p.address, 4))) at++;
    if (withdraw) {
        encode_withdrawal(&scratch, AF_INET, &p);
        if (at < injected_count) injected[at] = injected[--injected_count];
        if (session.state == ESTABLISHED) send_buffer(&scratch);
        scratch.length = scratch.messages = 0;
    } else if (at == INJECTED_MAX) {
        puts("{\"error\":\"too many prefixes of its own\"}");
        return;
    } else {
        if (at == injected_count) injected_count++;
        injected[at] = p;
        send_injected(at, at + 1);
    }
    printf("{\"ok\":%s}\n", session.state == ESTABLISHED ? "true" : "false");
}
