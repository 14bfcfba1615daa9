#pragma once
#include <stddef.h>
#include <stdint.h>

/// A file system for SQLite that writes down what a disk is asked to do, so that a test can cut the power after each step.
///
/// It stands in front of the usual one and passes everything on. Only files whose path begins with the prefix are noted,
/// and not the shared-memory index, which no power cut survives anyway. One recording at a time in a process.

typedef enum {
    CPOWERCUT_WRITE = 0,
    /// `offset` is the new size.
    CPOWERCUT_TRUNCATE = 1,
    /// What was done to this file before is on the disk.
    CPOWERCUT_SYNC = 2,
    CPOWERCUT_DELETE = 3,
} cpowercut_kind;

typedef struct {
    cpowercut_kind kind;
    /// For `cpowercut_path`.
    int file;
    int64_t offset;
    size_t length;
    /// Valid until the recording ends.
    const uint8_t *octets;
} cpowercut_step;

/// Begins to note what happens to files with this prefix that are opened from now on. Returns 0, or SQLite's error.
int cpowercut_begin(const char *prefix);
/// Forgets everything.
void cpowercut_end(void);
size_t cpowercut_count(void);
cpowercut_step cpowercut_at(size_t index);
/// The path without the prefix.
const char *cpowercut_path(int file);
/// After so many more writes the disk is full; a negative number takes that back.
void cpowercut_fill_after(long writes);
