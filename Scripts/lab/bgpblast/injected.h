/* Prefixes besides the table. Like everything that a router announces they come again with the session. */
#pragma once

void send_all_injected(void);
/* The command "inject PREFIX" or, with `withdraw`, "retract PREFIX"; prints the answer. */
void inject(const char *text, int withdraw);
