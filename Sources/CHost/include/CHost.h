#ifndef CHOST_H
#define CHOST_H

// What Swift cannot say: headers that the Glibc module leaves out, macros, variadic calls, atomics on mapped memory,
// and a signal handler that may not allocate, lock or call into any runtime.

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

// MARK: clocks

/// Nanoseconds of CLOCK_BOOTTIME: monotonic, and the same for all processes of a machine.
static inline int64_t chost_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// MARK: atomics on memory that other processes map or that the signal handler reads

static inline uint64_t chost_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void chost_store(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static inline bool chost_compare_exchange(uint64_t *word, uint64_t expected, uint64_t desired) {
    return __atomic_compare_exchange_n(word, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline uint64_t chost_load_relaxed(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline void chost_store_relaxed(uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

// MARK: locks that belong to the open file and that the kernel drops with the process

/// Takes one octet's exclusive OFD lock without waiting. Returns 0, or the errno.
int chost_lock(int fd, off_t octet);
/// Gives it back.
void chost_unlock(int fd, off_t octet);
/// Gives back every octet that this open file has locked, then closes it: a child that was forked a moment ago holds the
/// open file, too, and with it the locks.
void chost_unlock_and_close(int fd);
/// 1 when somebody else holds that octet's lock, 0 when nobody does, -1 on error.
int chost_is_locked(int fd, off_t octet);

// MARK: sending a burst

/// One frame for chost_send_burst.
struct chost_frame {
    const void *bytes;
    size_t count;
};
/// Sends up to 64 frames by one system call. Returns how many were taken, or -errno when none was.
int chost_send_burst(int fd, const struct chost_frame *frames, unsigned count);

// MARK: threads and memory

/// Names the calling thread as `ps -L` and `perf` show it (15 octets at most).
void chost_name_thread(const char *name);
/// Asks for SCHED_FIFO of the given priority for the calling thread. Returns 0 or the errno.
int chost_realtime(int priority);
/// Sets the nice value of the calling thread alone. Returns 0 or the errno.
int chost_nice(int value);
/// mlockall(MCL_CURRENT | MCL_FUTURE). Returns 0 or the errno.
int chost_lock_memory(void);

// MARK: what this process may do

/// Whether the effective capability set holds CAP_NET_RAW (13) or any other.
bool chost_has_capability(int capability);

// MARK: interfaces

/// IFF_* flags of a network device, or -errno.
int chost_interface_flags(const char *name);
/// The device's MTU, or -errno.
int chost_interface_mtu(const char *name);
/// The device's Ethernet address into `mac`; 0 or -errno.
int chost_interface_mac(const char *name, uint8_t mac[6]);

/// A socket that becomes readable whenever a network device of this namespace changes, or -errno.
int chost_link_monitor(void);

// MARK: netlink

/// A bound netlink socket of the given protocol (NETLINK_ROUTE 0, NETLINK_NETFILTER 12) with buffers of so many octets,
/// extended acknowledgements and strict checking of dumps where the kernel knows them. Or -errno.
int chost_netlink_open(int protocol, int send_buffer, int receive_buffer);
/// The kernel's name for this socket, the source of what is sent through it.
uint32_t chost_netlink_port(int fd);
/// Joins a multicast group (RTNLGRP_*). Returns 0 or the errno.
int chost_netlink_join(int fd, int group);
/// Keeps notifications of what `port` itself did away from this socket. Returns 0 or the errno.
int chost_netlink_ignore(int fd, uint32_t port);

// MARK: the dying gasp

/// Prepares the message that the signal handler sends when this process crashes (DESIGN §7).
///
/// `fd` is a connected datagram socket. `message` (at most 256 octets) is copied. At `index_offset` the handler writes
/// the record's index in network order, 8 octets, at `message_offset` the number of the message within it, 2 octets, and at
/// `frame_offset` the frame in hand: interface and length, 2 octets each, and its first 64 octets. May be called again
/// whenever the message or the socket changes; `fd` -1 switches the gasp off. Returns 0 or the errno.
int chost_gasp_prepare(
    int fd, const void *message, size_t count, size_t index_offset, size_t message_offset, size_t frame_offset);
/// The descriptor whose lock says that this process lives; the handler closes it, so that nobody waits until the kernel
/// has buried us. -1 for none.
void chost_gasp_lock(int fd);
/// Never returns once a crash has begun. For threads that speak to the world, before they do.
void chost_stop_if_dying(void);
/// Two words in which the engine notes the record being applied, and the message of it. They live as long as the process.
uint64_t *chost_gasp_applying(void);
/// Says that the calling thread is the engine's: a fault in another one is no record's.
void chost_gasp_engine_thread(void);
/// Says that the calling thread is the edge's: a fault in it may be that of the frame in hand.
void chost_gasp_edge_thread(void);
/// Notes the frame that the edge works on, which stays where it is meanwhile; NULL when it works on none.
void chost_gasp_frame(const void *octets, size_t count, uint16_t interface);
/// Says that this process ends because the edge does not come back, from the frame in hand if there is one. Before abort().
void chost_gasp_edge_hangs(void);
/// Where the edge notes the discriminator of the BFD session whose packet it looks into; 0 while it looks into none. Only a
/// fault of the edge's own thread is blamed on that session.
uint64_t *chost_gasp_session(void);
/// Says that this process ends because the engine does not come back from its record. Before abort().
void chost_gasp_engine_hangs(void);
/// Installs the handler for SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGTRAP and SIGFPE. Returns 0 or the errno.
int chost_gasp_install(void);
/// Lets the calling thread take the fatal signals, and gives it the alternate stack on which a stack overflow can still
/// gasp. Returns 0 or the errno.
int chost_gasp_thread_stack(void);

// MARK: failing on purpose, for tests of the gasp

void chost_crash_by_null(void);
/// fork, for tests that need a process to die.
int chost_fork(void);
/// The same of a child that does nothing, until it is killed.
int chost_fork_paused(void);
/// Puts the calling thread alone into a network namespace of its own. Returns a descriptor of the one before, or -errno.
int chost_network_enter_new(void);
/// Back into the namespace of that descriptor, which is closed. Returns 0 or the errno.
int chost_network_return(int fd);

/// No core dump of this process, nobody else may trace it, and nothing that it executes gets more rights than it has.
void chost_keep_secrets(void);
/// Frees this process's sockets at once when it is killed, however large its memory (see CHost.c). 0 or the errno.
int chost_keep_memory(void);

#endif
