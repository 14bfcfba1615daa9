#include "changes.h"
#include "basics.h"
#include "config.h"
#include "encode.h"
#include "hash.h"
#include "seen.h"
#include "session.h"
#include "transport.h"
#include <string.h>
#include <sys/socket.h>

uint32_t churn_rate;
static uint32_t churn_count, churn_next;
static double churn_began;
static uint64_t churn_due_before;
Change *changes4, *changes6;
static Buffer scratch;

static Change *unchanged(const Table *table) {
    Change *changes = grown(NULL, (table->count + 1) * sizeof *changes);
    memset(changes, 0, (table->count + 1) * sizeof *changes);
    return changes;
}

void prepare_changes(void) {
    if (table4.count) changes4 = unchanged(&table4);
    if (table6.count) changes6 = unchanged(&table6);
}

void forget_changes(void) {
    if (changes4) memset(changes4, 0, (table4.count + 1) * sizeof *changes4);
    if (changes6) memset(changes6, 0, (table6.count + 1) * sizeof *changes6);
}

/* The churned prefixes are spread evenly over the table. */
static uint32_t churned(uint32_t n, const Table *table) {
    return (uint32_t)((uint64_t)n * table->count / churn_count);
}

static void announce_changed(Buffer *buffer, int family, const Prefix *p, Change *change) {
    change->stamp = now() * 1e6;
    change->withdrawn = 0;
    encode_announcement(buffer, family, &p, 1, &sets[p->set], change->stamp);
}

static void churn_step(Buffer *buffer) {
    int family = table4.count && config.family4 ? AF_INET : AF_INET6;
    const Table *table = family == AF_INET ? &table4 : &table6;
    uint32_t index = churned(churn_next, table);
    Change *change = &(family == AF_INET ? changes4 : changes6)[index];
    const Prefix *p = &table->all[index];
    churn_next = (churn_next + 1) % churn_count;
    /* Every prefix goes through: new attributes, withdrawn, announced again. */
    switch (change->turn++ % 3) {
    case 1: change->withdrawn = 1; encode_withdrawal(buffer, family, p); break;
    default: announce_changed(buffer, family, p, change);
    }
    seen.changes_sent++;
}

void begin_churn(unsigned rate, unsigned count) {
    uint32_t most = table4.count && config.family4 ? table4.count : table6.count;
    churn_rate = rate;
    churn_count = count && count < most ? count : most;
    churn_next = 0;
    churn_began = now();
    churn_due_before = 0;
    if (!most) churn_rate = 0;
}

void churn(double at) {
    if (!churn_rate || session.state != ESTABLISHED || !session.table_sent) { churn_began = at; churn_due_before = 0; return; }
    uint64_t due = (at - churn_began) * churn_rate;
    if (due <= churn_due_before) return;
    uint64_t steps = due - churn_due_before;
    churn_due_before = due;
    /* A router that does not read must not make this process grow without end. */
    if (queued_bytes > (1 << 20)) { seen.changes_held += steps; return; }
    while (steps--) churn_step(&scratch);
    send_buffer(&scratch);
}

void settle(void) {
    churn_rate = 0;
    if (session.state != ESTABLISHED) return;
    for (uint32_t i = 0; changes4 && i < table4.count; i++)
        if (changes4[i].withdrawn) announce_changed(&scratch, AF_INET, &table4.all[i], &changes4[i]);
    for (uint32_t i = 0; changes6 && i < table6.count; i++)
        if (changes6[i].withdrawn) announce_changed(&scratch, AF_INET6, &table6.all[i], &changes6[i]);
    send_buffer(&scratch);
}

uint64_t digest_table(const Table *table, const Change *changes, uint32_t *count) {
    uint64_t sum = 0;
    *count = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const Prefix *p = &table->all[i];
        uint64_t attributes = sets[p->set].hash;
        if (changes && changes[i].withdrawn) continue;
        if (changes && changes[i].stamp)
            attributes += large_hash(config.own_as, changes[i].stamp / 1000000, changes[i].stamp % 1000000);
        if (!attributes) attributes = 1;
        sum += route_hash(prefix_key(get64(p->address), get64(p->address + 8), p->length), attributes);
        ++*count;
    }
    return sum;
}
