#define _GNU_SOURCE
#include "basics.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("bgpblast: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

double clock_seconds(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

void *grown(void *memory, size_t size) {
    void *result = realloc(memory, size);
    if (!result) die("out of memory");
    return result;
}

uint8_t *reserve(Buffer *buffer, size_t more) {
    if (buffer->length + more > buffer->room) {
        buffer->room = (buffer->length + more) * 2;
        buffer->bytes = grown(buffer->bytes, buffer->room);
    }
    return buffer->bytes + buffer->length;
}
