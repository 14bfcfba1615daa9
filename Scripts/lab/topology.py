"""Namespaces, the service LAN and the redundancy link.

    ctl-a ──red── ctl-b          198.18.255.1 / .2
      │svc0         │svc0        no address: the line card owns the router's
    ══╧═════════════╧══ lan ══╤═══════╤══════╤═══════╤═════════╤══════╤════
                             frr    bird   gobgp  openbgpd   loader  sink

With a third vote there is one more namespace, `vote`, and a network by which both controllers reach it and nothing else:

    ctl-a ──vote0── mgmt0 (198.18.9.0/24, in `vote`) ──vote0── ctl-b

Every name begins with the pid of the script, so several labs can run beside each other and what a killed
one left behind can be told and removed.
"""

import ipaddress
import glob
import os
import re
import shutil
import tempfile

from .processes import LabError, on_exit, run

LAN4 = ipaddress.ip_network("198.18.0.0/24")
LAN6 = ipaddress.ip_network("2001:db8:18::/64")
ROUTER4 = "198.18.0.1"
ROUTER6 = "2001:db8:18::1"
ROUTER_AS = 65000
# Locally administered, so that it can be nobody's real one.
VIRTUAL_MAC = "02:4c:53:00:00:01"
REDUNDANCY = {"a": "198.18.255.1", "b": "198.18.255.2"}
# The network of the third vote: its members, and the controllers on it.
VOTERS = ("198.18.9.1", "198.18.9.2", "198.18.9.3")
MANAGEMENT = {"a": "198.18.9.11", "b": "198.18.9.12"}
_PREFIX = "lockstep"


def remove_orphans() -> None:
    """Removes what labs left behind whose script is dead: namespaces, the processes in them, folders."""
    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0] if line.split() else ""
        match = re.fullmatch(rf"{_PREFIX}(\d+)-[a-z0-9-]+", name)
        if not match or os.path.exists(f"/proc/{match[1]}"):
            continue
        for pid in run("ip", "netns", "pids", name, check=False).split():
            try:
                os.kill(int(pid), 9)
            except OSError:
                pass
        run("ip", "netns", "delete", name, check=False)
    for folder in glob.glob(os.path.join(tempfile.gettempdir(), "lockstep-lab-*-*")):
        owner = folder.rsplit("lockstep-lab-", 1)[1].split("-")[0]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            shutil.rmtree(folder, ignore_errors=True)


def make_folder() -> str:
    """A folder for the lab's files that tells whose it is."""
    folder = tempfile.mkdtemp(prefix=f"lockstep-lab-{os.getpid()}-")
    # The peers' daemons drop their privileges and must still reach their files.
    os.chmod(folder, 0o755)
    return folder


class Topology:
    """Makes namespaces and links; removes them all at the end."""

    def __init__(self, offload: bool = True, forwarding: bool = True) -> None:
        self.offload = offload
        self.forwarding = forwarding
        self.ports: dict[str, int] = {}         # port of the LAN: its index
        self.vote: str | None = None
        self._made: list[str] = []
        remove_orphans()
        on_exit(self.remove)
        self.lan = self._namespace("lan")
        self._in(self.lan, "ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0", "stp_state", "0")
        self._in(self.lan, "ip", "link", "set", "br0", "up")

    def name(self, short: str) -> str:
        return f"{_PREFIX}{os.getpid()}-{short}"

    def _namespace(self, short: str) -> str:
        name = self.name(short)
        run("ip", "netns", "add", name)
        self._made.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        return name

    @staticmethod
    def _in(namespace: str, *command: object, check: bool = True) -> str:
        return run("ip", "netns", "exec", namespace, *command, check=check)

    def _set_offload(self, namespace: str, device: str) -> None:
        if not self.offload:
            self._in(namespace, "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off")

    def _attach(self, namespace: str, device: str, port: str) -> None:
        """A cable from `device` in the namespace to a port of the service LAN."""
        run("ip", "link", "add", "name", device, "netns", namespace, "type", "veth",
            "peer", "name", port, "netns", self.lan)
        self._set_offload(namespace, device)
        self._set_offload(self.lan, port)
        # The LAN's own side needs no addresses; without this it would talk IPv6 on every port.
        run("ip", "-n", self.lan, "link", "set", port, "addrgenmode", "none")
        run("ip", "-n", self.lan, "link", "set", port, "master", "br0", "up")
        index = run("ip", "netns", "exec", self.lan, "cat", f"/sys/class/net/{port}/ifindex")
        self.ports[port] = int(index)

    def add_host(self, short: str, address4: str | None, address6: str | None, mac: str | None = None) -> str:
        """A namespace with one foot on the LAN and addresses of its own."""
        namespace = self._namespace(short)
        self._attach(namespace, "eth0", f"p-{short}"[:15])
        if mac:
            run("ip", "-n", namespace, "link", "set", "eth0", "address", mac)
        run("ip", "-n", namespace, "link", "set", "eth0", "up")
        if address4:
            run("ip", "-n", namespace, "address", "add", f"{address4}/{LAN4.prefixlen}", "dev", "eth0")
        if address6:
            run("ip", "-n", namespace, "address", "add", f"{address6}/{LAN6.prefixlen}", "dev", "eth0", "nodad")
        return namespace

    def add_controllers(self) -> dict[str, str]:
        """Both controllers: a port on the LAN without any address, and the link between them."""
        names = {side: self._namespace(f"ctl-{side}") for side in "ab"}
        for side, namespace in names.items():
            self._attach(namespace, "svc0", f"p-ctl-{side}")
            # No address and no neighbour discovery of the host's own on the service LAN.
            run("ip", "-n", namespace, "link", "set", "svc0", "addrgenmode", "none")
            run("ip", "-n", namespace, "link", "set", "svc0", "up")
        run("ip", "link", "add", "name", "red0", "netns", names["a"], "type", "veth",
            "peer", "name", "red0", "netns", names["b"])
        for side, namespace in names.items():
            run("ip", "-n", namespace, "address", "add", f"{REDUNDANCY[side]}/30", "dev", "red0")
            run("ip", "-n", namespace, "link", "set", "red0", "up")
            if self.forwarding:
                self._in(namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
            self._guard(namespace)
        return names

    def _guard(self, namespace: str) -> None:
        """A forwarding host that does not own the router's addresses would send packets for them back to
        the LAN, with redirects and TTL-exceeded storms: it has to drop them (Docs/operations.md)."""
        rules = f"""
            table inet lockstep {{
                chain guard {{
                    type filter hook prerouting priority raw; policy accept;
                    ip daddr {ROUTER4} drop
                    ip6 daddr {ROUTER6} drop
                }}
            }}"""
        run("ip", "netns", "exec", namespace, "nft", "-f", "-", feed=rules)

    def add_vote(self, controllers: dict[str, str]) -> str:
        """A third namespace for a witness or an etcd cluster, and a network of its own to both controllers."""
        self.vote = self._namespace("vote")
        self._in(self.vote, "ip", "link", "add", "mgmt0", "type", "bridge", "mcast_snooping", "0", "stp_state", "0")
        run("ip", "-n", self.vote, "link", "set", "mgmt0", "up")
        for address in VOTERS:
            run("ip", "-n", self.vote, "address", "add", f"{address}/24", "dev", "mgmt0")
        for side, namespace in controllers.items():
            run("ip", "link", "add", "name", "vote0", "netns", namespace, "type", "veth",
                "peer", "name", f"m-ctl-{side}", "netns", self.vote)
            run("ip", "-n", self.vote, "link", "set", f"m-ctl-{side}", "master", "mgmt0", "up")
            run("ip", "-n", namespace, "address", "add", f"{MANAGEMENT[side]}/24", "dev", "vote0")
            run("ip", "-n", namespace, "link", "set", "vote0", "up")
        return self.vote

    def set_deaf(self, port: str, deaf: bool) -> None:
        """What the LAN sends to the port is dropped: whoever is plugged in there sends, but hears nothing."""
        self._drop("deaf", "postrouting", "oifname", port, deaf)

    def set_mute(self, port: str, mute: bool) -> None:
        """What comes in by the port is dropped, and the bridge learns nothing from it: it hears, but nobody hears it."""
        self._drop("mute", "prerouting", "iifname", port, mute)

    def _drop(self, word: str, hook: str, match: str, port: str, on: bool) -> None:
        table = f"{word}-{port}"
        if not on:
            self._in(self.lan, "nft", "delete", "table", "bridge", table, check=False)
            return
        run("ip", "netns", "exec", self.lan, "nft", "-f", "-", feed=f"""
            table bridge {table} {{
                chain cut {{
                    type filter hook {hook} priority -300; policy accept;
                    {match} "{port}" drop
                }}
            }}""")

    def set_link(self, namespace: str, device: str, up: bool) -> None:
        run("ip", "-n", namespace, "link", "set", device, "up" if up else "down")

    def remove(self) -> None:
        for name in reversed(self._made):
            run("ip", "netns", "delete", name, check=False)
        self._made = []


def require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces: run it as root")
