/* Churn: prefixes of the table that keep on changing at a given rate. */
#pragma once
#include "table.h"

/* What has become of a prefix of the table in this session. `stamp`: microseconds of its last announcement, 0: as in the
   table. */
typedef struct { uint64_t stamp; uint8_t withdrawn, turn; } Change;
extern Change *changes4, *changes6;      /* one for each prefix; NULL without a table */
extern uint32_t churn_rate;              /* changes a second; 0: none */

void prepare_changes(void);
/* A new session begins with the table as it is. */
void forget_changes(void);
/* Changes `count` prefixes in turn, `rate` changes a second. */
void begin_churn(unsigned rate, unsigned count);
/* Makes the changes that are due. */
void churn(double at);
/* Stops, and announces again whatever is withdrawn. */
void settle(void);
/* Of the routes that are announced now, and how many there are (hash.h). */
uint64_t digest_table(const Table *table, const Change *changes, uint32_t *count);
