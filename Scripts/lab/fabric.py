"""Namespaces of the routing lab: two networks with the pair between them, a full router on each, hosts behind both.

    near ── frr ══ lan1 ══╤═ ctl-a ═╤══ lan2 ══ bird ── far
                          ╘═ ctl-b ═╛

Packets between the hosts `near` and `far` go through the kernel of whichever controller is active. Behind each router
lie networks that only one protocol announces, so that a route of every protocol is used.
"""

from .processes import run
from .topology import REDUNDANCY, Topology

VIRTUAL_MACS = {1: "02:4c:53:00:01:01", 2: "02:4c:53:00:01:02"}
# lan: (network of the router, of the real router on it)
ROUTER4 = {1: "198.18.1.1", 2: "198.18.2.1"}
ROUTER6 = {1: "2001:db8:1::1", 2: "2001:db8:2::1"}
PEER4 = {1: "198.18.1.2", 2: "198.18.2.2"}
PEER6 = {1: "2001:db8:1::2", 2: "2001:db8:2::2"}
PREFIX4, PREFIX6 = 24, 64

# Behind each router, one network for each protocol: 10.SIDE.NUMBER.0/24 and 2001:db8:SIDE:NUMBER::/64.
BEHIND = {"ospf": 1, "isis": 2, "rip": 3, "bgp": 4}


def host4(side: int, protocol: str, host: int = 1) -> str:
    return f"10.{side}.{BEHIND[protocol]}.{host}"


def host6(side: int, protocol: str, host: int = 1) -> str:
    return f"2001:db8:{side}:{BEHIND[protocol]}::{host}"


class Fabric(Topology):
    """Two service LANs (bridges br0 and br1 of one namespace) and what hangs on them."""

    def __init__(self, offload: bool = True) -> None:
        super().__init__(offload=offload)
        self._in(self.lan, "ip", "link", "add", "br1", "type", "bridge", "mcast_snooping", "0", "stp_state", "0")
        self._in(self.lan, "ip", "link", "set", "br1", "up")

    def attach(self, namespace: str, device: str, port: str, lan: int) -> None:
        self._attach(namespace, device, port)
        run("ip", "-n", self.lan, "link", "set", port, "master", f"br{lan - 1}", "up")

    def add_pair(self) -> dict[str, str]:
        """Both controllers: a port on each LAN without any address, and the link between them."""
        names = {side: self._namespace(f"ctl-{side}") for side in "ab"}
        for side, namespace in names.items():
            for lan in (1, 2):
                device = f"svc{lan - 1}"
                self.attach(namespace, device, f"p{lan}-ctl-{side}", lan)
                run("ip", "-n", namespace, "link", "set", device, "addrgenmode", "none")
                run("ip", "-n", namespace, "link", "set", device, "up")
        run("ip", "link", "add", "name", "red0", "netns", names["a"], "type", "veth",
            "peer", "name", "red0", "netns", names["b"])
        for side, namespace in names.items():
            run("ip", "-n", namespace, "address", "add", f"{REDUNDANCY[side]}/30", "dev", "red0")
            run("ip", "-n", namespace, "link", "set", "red0", "up")
        return names

    def add_router(self, short: str, lan: int) -> tuple[str, str]:
        """A real router: eth0 on the LAN, one device for each network behind it, forwarding."""
        namespace = self._namespace(short)
        self._in(namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                 "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        self.attach(namespace, "eth0", f"p{lan}-{short}", lan)
        self._address(namespace, "eth0", f"{PEER4[lan]}/{PREFIX4}", f"{PEER6[lan]}/{PREFIX6}")
        host = self._namespace(f"{short}-host")
        for protocol in BEHIND:
            run("ip", "link", "add", "name", f"{protocol}0", "netns", namespace, "type", "veth",
                "peer", "name", f"{protocol}0", "netns", host)
            self._address(namespace, f"{protocol}0", f"{host4(lan, protocol, 254)}/24", f"{host6(lan, protocol, 254)}/64")
            self._address(host, f"{protocol}0", f"{host4(lan, protocol)}/24", f"{host6(lan, protocol)}/64")
        # The host answers by the way the question came: every network has its own default route.
        for number, protocol in enumerate(BEHIND):
            table = 100 + number
            run("ip", "-n", host, "rule", "add", "from", f"{host4(lan, protocol)}", "table", table)
            run("ip", "-n", host, "route", "add", "default", "via", host4(lan, protocol, 254), "table", table)
            run("ip", "-n", host, "-6", "rule", "add", "from", f"{host6(lan, protocol)}", "table", table)
            run("ip", "-n", host, "-6", "route", "add", "default", "via", host6(lan, protocol, 254), "table", table)
        # A link that goes up and down elsewhere in the network.
        run("ip", "link", "add", "name", "flap0", "netns", namespace, "type", "veth",
            "peer", "name", "flap0", "netns", host)
        self._address(namespace, "flap0", f"10.{lan}.99.254/24", f"2001:db8:{lan}:99::254/64")
        run("ip", "-n", host, "link", "set", "flap0", "up")
        return namespace, host

    @staticmethod
    def _address(namespace: str, device: str, address4: str, address6: str) -> None:
        run("ip", "-n", namespace, "link", "set", device, "up")
        run("ip", "-n", namespace, "address", "add", address4, "dev", device)
        run("ip", "-n", namespace, "address", "add", address6, "dev", device, "nodad")
