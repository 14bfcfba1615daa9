#define _GNU_SOURCE
#include "CHost.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Two buffers: preparing writes the one that is not in force and then publishes it with one store, so that a crash in
// the middle of preparing still finds a whole message.
enum { message_most = 256, frame_header = 64 };
struct gasp {
    int fd;
    size_t count;
    size_t index_offset;
    size_t message_offset;
    size_t frame_offset;
    uint8_t bytes[message_most];
};
static struct gasp gasps[2];
static _Atomic int in_force = -1;
static _Atomic int has_gasped = 0;
static _Atomic int is_dying = 0;
static _Atomic int lock_fd = -1;
static uint64_t applying[2];
static uint64_t session;
static _Atomic int engine_thread = 0;
static _Atomic int engine_hangs = 0;
static _Atomic int edge_thread = 0;
static _Atomic int edge_hangs = 0;
// The frame that the edge works on; no octets when it works on none.
static struct { const uint8_t *octets; size_t count; uint16_t interface; } in_hand;

void chost_gasp_lock(int fd) { atomic_store(&lock_fd, fd); }

void chost_stop_if_dying(void) {
    if (__builtin_expect(atomic_load_explicit(&is_dying, memory_order_acquire), 0))
        for (;;) pause();
}

uint64_t *chost_gasp_applying(void) { return applying; }

uint64_t *chost_gasp_session(void) { return &session; }

void chost_gasp_engine_hangs(void) { atomic_store(&engine_hangs, 1); }

void chost_gasp_edge_hangs(void) { atomic_store(&edge_hangs, 1); }

void chost_gasp_edge_thread(void) { atomic_store(&edge_thread, (int)syscall(SYS_gettid)); }

void chost_gasp_frame(const void *octets, size_t count, uint16_t interface) {
    // One thread writes, and the handler reads on that thread, or on another when this one hangs: no order is needed but
    // the compiler's.
    in_hand.count = count;
    in_hand.interface = interface;
    atomic_signal_fence(memory_order_release);
    __atomic_store_n(&in_hand.octets, octets, __ATOMIC_RELAXED);
}

void chost_gasp_engine_thread(void) { atomic_store(&engine_thread, (int)syscall(SYS_gettid)); }

int chost_gasp_prepare(
    int fd, const void *message, size_t count, size_t index_offset, size_t message_offset, size_t frame_offset) {
    if (fd < 0) {
        atomic_store(&in_force, -1);
        return 0;
    }
    if (count > message_most || index_offset > count || count - index_offset < 8) return EINVAL;
    if (message_offset > count || count - message_offset < 2) return EINVAL;
    if (frame_offset > count || count - frame_offset < 4 + frame_header) return EINVAL;
    int next = atomic_load(&in_force) == 0 ? 1 : 0;
    struct gasp *gasp = &gasps[next];
    gasp->fd = fd;
    gasp->count = count;
    gasp->index_offset = index_offset;
    gasp->message_offset = message_offset;
    gasp->frame_offset = frame_offset;
    memcpy(gasp->bytes, message, count);
    atomic_store(&in_force, next);
    return 0;
}

// A record is to blame when the engine's own thread faulted or aborted, or when the watchdog ended us because the engine
// hangs. A signal from outside, an edge that hangs, a heap that another thread found broken: these happen to meet some
// record and say nothing of it.
static int is_the_records_fault(const siginfo_t *info) {
    if (info->si_code <= 0 && info->si_pid != getpid()) return 0;
    if (atomic_load(&engine_hangs)) return 1;
    if (atomic_load(&edge_hangs)) return 0;
    int self = (int)syscall(SYS_gettid), engine = atomic_load(&engine_thread);
    if (atomic_load(&edge_thread) == self) return 0;
    return engine == 0 || engine == self;
}

// A frame is to blame when the edge's own thread faulted or aborted while it worked on it, or does not come back from it.
static int is_the_frames_fault(const siginfo_t *info) {
    if (info->si_code <= 0 && info->si_pid != getpid()) return 0;
    if (atomic_load(&edge_hangs)) return 1;
    return atomic_load(&edge_thread) == (int)syscall(SYS_gettid);
}

static void write_frame(struct gasp *gasp) {
    const uint8_t *octets = __atomic_load_n(&in_hand.octets, __ATOMIC_RELAXED);
    size_t count = in_hand.count;
    if (octets == NULL || count == 0) return;
    uint16_t length = count > UINT16_MAX ? UINT16_MAX : (uint16_t)count;
    uint8_t *to = gasp->bytes + gasp->frame_offset;
    to[0] = in_hand.interface >> 8;
    to[1] = in_hand.interface & 0xff;
    to[2] = length >> 8;
    to[3] = length & 0xff;
    for (size_t i = 0; i < frame_header && i < count; i++) to[4 + i] = octets[i];
}

// The BFD session whose packet the edge was looking into when it faulted or aborted; 0 if it was not.
static uint64_t guilty_session(const siginfo_t *info) {
    if (info->si_code <= 0 && info->si_pid != getpid()) return 0;
    if (atomic_load(&engine_hangs)) return 0;
    int edge = atomic_load(&edge_thread);
    if (edge == 0 || edge != (int)syscall(SYS_gettid)) return 0;
    return __atomic_load_n(&session, __ATOMIC_SEQ_CST);
}

// Only async-signal-safe calls from here on (signal-safety(7)): close, send, sigaction, raise.
static void gasp_and_die(int number, siginfo_t *info, void *context) {
    (void)context;
    // The other threads live on until this signal's default action ends the process, which takes milliseconds, or seconds
    // when a core is written. They must not see the twin hang up on us and call its copy stale.
    atomic_store(&is_dying, 1);
    int lock = atomic_exchange(&lock_fd, -1);
    if (lock >= 0) close(lock);
    int which = atomic_load(&in_force);
    if (which >= 0 && !atomic_exchange(&has_gasped, 1)) {
        struct gasp *gasp = &gasps[which];
        uint64_t index = is_the_records_fault(info) ? __atomic_load_n(&applying[0], __ATOMIC_SEQ_CST) : 0;
        uint64_t message = index == 0 ? 0 : __atomic_load_n(&applying[1], __ATOMIC_SEQ_CST);
        if (message > UINT16_MAX) message = 0;
        // The highest bit says that it is no record.
        uint64_t guilty = index == 0 ? guilty_session(info) : 0;
        if (guilty != 0) index = UINT64_C(1) << 63 | guilty;
        for (int i = 0; i < 8; i++) gasp->bytes[gasp->index_offset + i] = (uint8_t)(index >> (56 - 8 * i));
        for (int i = 0; i < 2; i++) gasp->bytes[gasp->message_offset + i] = (uint8_t)(message >> (8 - 8 * i));
        if (is_the_frames_fault(info)) write_frame(gasp);
        // Three times, because a datagram may be lost; the twin takes the first and ignores the others.
        send(gasp->fd, gasp->bytes, gasp->count, MSG_DONTWAIT | MSG_NOSIGNAL);
        send(gasp->fd, gasp->bytes, gasp->count, MSG_DONTWAIT | MSG_NOSIGNAL);
        send(gasp->fd, gasp->bytes, gasp->count, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    // The default action (a core, and the right exit status for whoever waits) follows when the handler returns and
    // the instruction faults again, or by the raised signal as soon as it is unblocked.
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, NULL);
    raise(number);
}

static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGTRAP, SIGFPE};
enum { numbers_count = sizeof numbers / sizeof numbers[0] };

int chost_gasp_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = gasp_and_die;
    action.sa_flags = SA_ONSTACK | SA_SIGINFO;
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < numbers_count; i++)
        if (sigaction(numbers[i], &action, NULL) != 0) return errno;
    return chost_gasp_thread_stack();
}

int chost_gasp_thread_stack(void) {
    // Threads that a dispatch queue's thread started have some of these blocked.
    sigset_t fatal;
    sigemptyset(&fatal);
    for (size_t i = 0; i < numbers_count; i++) sigaddset(&fatal, numbers[i]);
    pthread_sigmask(SIG_UNBLOCK, &fatal, NULL);
    const size_t size = 64 * 1024;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return errno;
    stack_t stack = {.ss_sp = memory, .ss_size = size, .ss_flags = 0};
    return sigaltstack(&stack, NULL) == 0 ? 0 : errno;
}

void chost_crash_by_null(void) {
    volatile int *nowhere = NULL;
    *nowhere = 1;
}
