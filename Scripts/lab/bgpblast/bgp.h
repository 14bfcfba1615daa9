/* The numbers of RFC 4271 and RFC 2918. */
#pragma once

enum { OPEN = 1, UPDATE = 2, NOTIFICATION = 3, KEEPALIVE = 4, REFRESH = 5 };
enum { HEADER = 19, LARGEST = 4096 };
