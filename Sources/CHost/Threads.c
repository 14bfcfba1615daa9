#define _GNU_SOURCE
#include "CHost.h"

#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int chost_lock(int fd, off_t octet) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

void chost_unlock(int fd, off_t octet) {
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1};
    fcntl(fd, F_OFD_SETLK, &lock);
}

void chost_unlock_and_close(int fd) {
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    fcntl(fd, F_OFD_SETLK, &lock);
    close(fd);
}

int chost_is_locked(int fd, off_t octet) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return -1;
    return lock.l_type != F_UNLCK;
}

int chost_send_burst(int fd, const struct chost_frame *frames, unsigned count) {
    enum { most = 64 };
    struct mmsghdr messages[most];
    struct iovec vectors[most];
    if (count > most) count = most;
    memset(messages, 0, sizeof messages[0] * count);
    for (unsigned i = 0; i < count; i++) {
        vectors[i].iov_base = (void *)frames[i].bytes;
        vectors[i].iov_len = frames[i].count;
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int sent = sendmmsg(fd, messages, count, MSG_DONTWAIT);
    return sent >= 0 ? sent : -errno;
}

void chost_name_thread(const char *name) {
    char text[16] = {0};
    strncpy(text, name, 15);
    pthread_setname_np(pthread_self(), text);
}

int chost_realtime(int priority) {
    struct sched_param parameters = {.sched_priority = priority};
    return pthread_setschedparam(pthread_self(), SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters);
}

int chost_nice(int value) {
    // Linux: the nice value belongs to the thread.
    return setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), value) == 0 ? 0 : errno;
}

int chost_lock_memory(void) { return mlockall(MCL_CURRENT | MCL_FUTURE) == 0 ? 0 : errno; }

bool chost_has_capability(int capability) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    memset(data, 0, sizeof data);
    if (syscall(SYS_capget, &header, data) != 0 || capability < 0 || capability > 63) return false;
    return data[capability / 32].effective >> (capability % 32) & 1;
}

static int interface_request(const char *name, unsigned long request, struct ifreq *answer) {
    memset(answer, 0, sizeof *answer);
    if (strlen(name) >= IFNAMSIZ) return -ENODEV;
    strcpy(answer->ifr_name, name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int result = ioctl(fd, request, answer) == 0 ? 0 : -errno;
    close(fd);
    return result;
}

int chost_interface_flags(const char *name) {
    struct ifreq answer;
    int result = interface_request(name, SIOCGIFFLAGS, &answer);
    return result < 0 ? result : (unsigned short)answer.ifr_flags;
}

int chost_interface_mtu(const char *name) {
    struct ifreq answer;
    int result = interface_request(name, SIOCGIFMTU, &answer);
    return result < 0 ? result : answer.ifr_mtu;
}

int chost_interface_mac(const char *name, uint8_t mac[6]) {
    struct ifreq answer;
    int result = interface_request(name, SIOCGIFHWADDR, &answer);
    if (result == 0) memcpy(mac, answer.ifr_hwaddr.sa_data, 6);
    return result;
}

int chost_link_monitor(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0) return -errno;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

int chost_fork(void) { return fork(); }

int chost_fork_paused(void) {
    int child = fork();
    while (child == 0) pause();
    return child;
}
