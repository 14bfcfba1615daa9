#define _GNU_SOURCE
#include "CHost.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

static void set_buffer(int fd, int forced, int ordinary, int size) {
    // The forced one passes net.core.{r,w}mem_max and needs CAP_NET_ADMIN.
    if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof size) != 0)
        setsockopt(fd, SOL_SOCKET, ordinary, &size, sizeof size);
}

int chost_netlink_open(int protocol, int send_buffer, int receive_buffer) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0) return -errno;
    int on = 1;
    // Errors come back with the header of what they are about, not all of it, and with the kernel's own words.
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    // A dump that names a table gets that table only.
    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, send_buffer);
    set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

uint32_t chost_netlink_port(int fd) {
    struct sockaddr_nl address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    return getsockname(fd, (struct sockaddr *)&address, &size) == 0 ? address.nl_pid : 0;
}

int chost_netlink_join(int fd, int group) {
    return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0 ? 0 : errno;
}

int chost_netlink_ignore(int fd, uint32_t port) {
    struct sock_filter code[] = {
        // The filter loads in network order what the header holds in host order.
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ? 0 : errno;
}

int chost_network_enter_new(void) {
    int before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (before < 0) return -errno;
    if (unshare(CLONE_NEWNET) == 0) return before;
    int code = errno;
    close(before);
    return -code;
}

int chost_network_return(int fd) {
    int code = setns(fd, CLONE_NEWNET) == 0 ? 0 : errno;
    close(fd);
    return code;
}
