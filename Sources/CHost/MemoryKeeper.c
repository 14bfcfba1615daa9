#define _GNU_SOURCE
#include "CHost.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Linux tears down the memory of a killed process before it closes its files, so a router with a full table would keep
// its replication channel open for tens of milliseconds after its death, and the twin would learn of it that much later.
// The keeper is a process that shares our memory and nothing else: it holds no file, does nothing, and dies by the
// kernel's hand right after us. The memory then goes with the keeper, and our sockets close at once.
//
// It runs on our address space and thread-local storage, hence raw system calls only: not even errno may be touched.

static long raw_call(long number, long a, long b, long c, long d, long e) {
    long result;
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    result = x0;
#else
#error "the memory keeper knows x86-64 and arm64"
#endif
    return result;
}

static int keep(void *parent) {
    raw_call(SYS_prctl, PR_SET_NAME, (long)"lockstep-keeper", 0, 0, 0);
    raw_call(SYS_close_range, 0, ~0u, 0, 0, 0);
    // Readable once every thread of the parent is gone and its files are closed: only then may the memory go.
    struct pollfd death = {.fd = (int)raw_call(SYS_pidfd_open, (long)parent, 0, 0, 0, 0), .events = POLLIN};
    if (death.fd >= 0 && raw_call(SYS_getppid, 0, 0, 0, 0, 0) == (long)parent)
        while (death.revents == 0) raw_call(SYS_ppoll, (long)&death, 1, 0, 0, 8);
    raw_call(SYS_exit_group, 0, 0, 0, 0, 0);
    return 0;
}

int chost_keep_memory(void) {
    const size_t size = 16 * 1024;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return errno;
    // All signals blocked in the keeper: a terminal's ^C goes to the whole group, and the keeper must not run handlers.
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    int pid = clone(keep, stack + size, CLONE_VM | SIGCHLD, (void *)(long)getpid());
    int result = pid > 0 ? 0 : errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

void chost_keep_secrets(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    // Without root it would take our own files under /proc away from us, and the lease file is opened there.
    if (geteuid() == 0) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
