/* UPDATE messages, appended to a buffer (RFC 4271 §4.3, RFC 4760). */
#pragma once
#include "basics.h"
#include "table.h"

/* Announces prefixes that share one attribute set, in as few messages as hold them. `stamp` (microseconds,
   0 for none) goes out as a large community (RFC 8092). */
void encode_announcement(Buffer *buffer, int family, const Prefix **list, uint32_t count,
                         const AttributeSet *set, uint64_t stamp);
void encode_withdrawal(Buffer *buffer, int family, const Prefix *p);
/* The whole table, grouped by attribute set in the order in which the sets first occur, and End-of-RIB (RFC 4724 §2). */
void encode_table(Buffer *buffer, const Table *table, int family);
