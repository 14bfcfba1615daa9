/* An UPDATE of the peer is checked octet by octet and taken into the RIB. */
#pragma once
#include <stdint.h>

/* `body`: behind the header. `at`: when it came in. Returns NULL, or what is wrong with it. */
const char *take_update(const uint8_t *body, unsigned length, double at);
