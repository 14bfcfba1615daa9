#include "CPowerCut.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define FILES 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sqlite3_vfs *usual;
static sqlite3_vfs recorder;
static sqlite3_io_methods methods;
static char *prefix;
static char *paths[FILES];
static int path_count;
static cpowercut_step *steps;
static size_t step_count, step_room;
static long writes_left = -1;

/// SQLite gives us room for this and for the file of the usual system behind it.
typedef struct {
    sqlite3_file base;
    /// -1: not noted.
    int number;
} noted_file;

static sqlite3_file *behind(sqlite3_file *file) { return (sqlite3_file *)((char *)file + sizeof(noted_file)); }

static int number_of(const char *path) {
    int number = -1;
    pthread_mutex_lock(&lock);
    size_t length = prefix ? strlen(prefix) : 0;
    size_t whole = path ? strlen(path) : 0;
    if (length > 0 && whole >= length && strncmp(path, prefix, length) == 0
        && !(whole > 4 && strcmp(path + whole - 4, "-shm") == 0)) {
        for (int i = 0; i < path_count && number < 0; i++)
            if (strcmp(paths[i], path + length) == 0) number = i;
        if (number < 0 && path_count < FILES) {
            paths[path_count] = strdup(path + length);
            number = path_count++;
        }
    }
    pthread_mutex_unlock(&lock);
    return number;
}

static void note(cpowercut_kind kind, int file, int64_t offset, const void *octets, size_t length) {
    if (file < 0) return;
    pthread_mutex_lock(&lock);
    if (prefix) {
        if (step_count == step_room) {
            step_room = step_room ? step_room * 2 : 256;
            steps = realloc(steps, step_room * sizeof *steps);
        }
        uint8_t *copy = NULL;
        if (length > 0) {
            copy = malloc(length);
            memcpy(copy, octets, length);
        }
        steps[step_count++] = (cpowercut_step){kind, file, offset, length, copy};
    }
    pthread_mutex_unlock(&lock);
}

static int is_full(int file) {
    if (file < 0) return 0;
    pthread_mutex_lock(&lock);
    int full = writes_left == 0;
    if (writes_left > 0) writes_left--;
    pthread_mutex_unlock(&lock);
    return full;
}

// Each of these does what the usual one does; what changes a disk is noted when it was done.

static int file_close(sqlite3_file *f) { return behind(f)->pMethods ? behind(f)->pMethods->xClose(behind(f)) : SQLITE_OK; }
static int file_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) { return behind(f)->pMethods->xRead(behind(f), to, n, at); }
static int file_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
    int number = ((noted_file *)f)->number;
    if (is_full(number)) return SQLITE_FULL;
    int result = behind(f)->pMethods->xWrite(behind(f), from, n, at);
    if (result == SQLITE_OK) note(CPOWERCUT_WRITE, number, at, from, (size_t)n);
    return result;
}
static int file_truncate(sqlite3_file *f, sqlite3_int64 size) {
    int result = behind(f)->pMethods->xTruncate(behind(f), size);
    if (result == SQLITE_OK) note(CPOWERCUT_TRUNCATE, ((noted_file *)f)->number, size, NULL, 0);
    return result;
}
static int file_sync(sqlite3_file *f, int flags) {
    int result = behind(f)->pMethods->xSync(behind(f), flags);
    if (result == SQLITE_OK) note(CPOWERCUT_SYNC, ((noted_file *)f)->number, 0, NULL, 0);
    return result;
}
static int file_size(sqlite3_file *f, sqlite3_int64 *size) { return behind(f)->pMethods->xFileSize(behind(f), size); }
static int file_lock(sqlite3_file *f, int level) { return behind(f)->pMethods->xLock(behind(f), level); }
static int file_unlock(sqlite3_file *f, int level) { return behind(f)->pMethods->xUnlock(behind(f), level); }
static int file_reserved(sqlite3_file *f, int *out) { return behind(f)->pMethods->xCheckReservedLock(behind(f), out); }
static int file_control(sqlite3_file *f, int op, void *argument) {
    return behind(f)->pMethods->xFileControl(behind(f), op, argument);
}
static int file_sector(sqlite3_file *f) { return behind(f)->pMethods->xSectorSize(behind(f)); }
/// A disk that promises nothing: neither that a page is written whole, nor that a file grows after its octets are there.
static int file_device(sqlite3_file *f) { (void)f; return 0; }
static int file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out) {
    return behind(f)->pMethods->xShmMap(behind(f), page, size, extend, out);
}
static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    return behind(f)->pMethods->xShmLock(behind(f), offset, n, flags);
}
static void file_shm_barrier(sqlite3_file *f) { behind(f)->pMethods->xShmBarrier(behind(f)); }
static int file_shm_unmap(sqlite3_file *f, int remove) { return behind(f)->pMethods->xShmUnmap(behind(f), remove); }

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out) {
    (void)vfs;
    noted_file *noted = (noted_file *)file;
    noted->number = number_of(path);
    behind(file)->pMethods = NULL;
    int result = usual->xOpen(usual, path, behind(file), flags, out);
    // SQLite closes a file that has methods, even if it could not be opened.
    file->pMethods = behind(file)->pMethods ? &methods : NULL;
    return result;
}
static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync) {
    (void)vfs;
    int result = usual->xDelete(usual, path, sync);
    if (result == SQLITE_OK) note(CPOWERCUT_DELETE, number_of(path), 0, NULL, 0);
    return result;
}

static int install(void) {
    if (usual) return SQLITE_OK;
    int result = sqlite3_initialize();
    if (result != SQLITE_OK) return result;
    usual = sqlite3_vfs_find(NULL);
    methods = (sqlite3_io_methods){
        .iVersion = 2, .xClose = file_close, .xRead = file_read, .xWrite = file_write, .xTruncate = file_truncate,
        .xSync = file_sync, .xFileSize = file_size, .xLock = file_lock, .xUnlock = file_unlock,
        .xCheckReservedLock = file_reserved, .xFileControl = file_control, .xSectorSize = file_sector,
        .xDeviceCharacteristics = file_device, .xShmMap = file_shm_map, .xShmLock = file_shm_lock,
        .xShmBarrier = file_shm_barrier, .xShmUnmap = file_shm_unmap,
    };
    // All that is not about files is the usual one's own, with its own data.
    recorder = *usual;
    recorder.zName = "power-cut";
    recorder.szOsFile = (int)sizeof(noted_file) + usual->szOsFile;
    recorder.pNext = NULL;
    recorder.xOpen = vfs_open;
    recorder.xDelete = vfs_delete;
    return sqlite3_vfs_register(&recorder, 1);
}

int cpowercut_begin(const char *path) {
    int result = install();
    cpowercut_end();
    pthread_mutex_lock(&lock);
    prefix = strdup(path);
    pthread_mutex_unlock(&lock);
    return result;
}

void cpowercut_end(void) {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < step_count; i++) free((void *)steps[i].octets);
    free(steps);
    for (int i = 0; i < path_count; i++) free(paths[i]);
    free(prefix);
    steps = NULL;
    prefix = NULL;
    step_count = step_room = 0;
    path_count = 0;
    writes_left = -1;
    pthread_mutex_unlock(&lock);
}

size_t cpowercut_count(void) {
    pthread_mutex_lock(&lock);
    size_t count = step_count;
    pthread_mutex_unlock(&lock);
    return count;
}
cpowercut_step cpowercut_at(size_t index) { return steps[index]; }
const char *cpowercut_path(int file) { return paths[file]; }
void cpowercut_fill_after(long writes) {
    pthread_mutex_lock(&lock);
    writes_left = writes;
    pthread_mutex_unlock(&lock);
}
