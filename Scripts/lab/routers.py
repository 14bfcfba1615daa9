"""Full routers for the routing lab: FRR and BIRD with all the protocols that each of them speaks.

What a router says about its adjacencies is brought into one form: {name: Adjacency}. Names are the same for as long
as the adjacency should be the same one.
"""

import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from typing import Any

from .fabric import BEHIND, PEER4, PEER6, ROUTER4, ROUTER6
from .processes import Answer, LabError, Process, run, wait_until

ROUTER_AS = 65000
KEY = "lockstep-lab"


@dataclass
class Adjacency:
    """What a router says about one neighbour in one protocol."""
    up: bool
    state: str
    flaps: int | None = None       # times it went down, if the router counts
    since: float | None = None     # wall clock, if the router says


def _compare(before: Adjacency, after: Adjacency | None) -> str | None:
    """Why an adjacency is not the one that it was, or None."""
    if not before.up:
        return None
    if not after:
        return "is gone"
    if not after.up:
        return f"is {after.state}"
    if before.flaps is not None and after.flaps is not None and after.flaps > before.flaps:
        return f"went down {after.flaps - before.flaps} times"
    if before.since and after.since and after.since > before.since + 2.5:
        return f"is {time.time() - after.since:.1f} s old"
    return None


def compare(before: dict[str, Adjacency], after: dict[str, Adjacency]) -> list[tuple[str, str]]:
    """[(name, why)] of adjacencies that were lost between two looks."""
    lost = []
    for name, adjacency in before.items():
        why = _compare(adjacency, after.get(name))
        if why:
            lost.append((name, why))
    return lost


class Router:
    make = "?"

    def __init__(self, namespace: str, folder: str, lan: int, bfd: int = 300, authenticated: bool = False) -> None:
        self.namespace, self.folder, self.lan = namespace, folder, lan
        self.bfd, self.authenticated = bfd, authenticated
        self.asn = 65000 + lan
        self.address4, self.address6 = PEER4[lan], PEER6[lan]
        self.neighbour4, self.neighbour6 = ROUTER4[lan], ROUTER6[lan]
        self.processes: list[Process] = []
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def write(self, name: str, text: str) -> str:
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), 0o644)
        return self.path(name)

    def start(self) -> None:
        raise NotImplementedError

    def query(self) -> dict[str, Adjacency]:
        raise NotImplementedError

    def stop(self) -> None:
        for process in self.processes:
            process.stop()
        self.processes = []

    def look(self) -> dict[str, Adjacency]:
        """{name: Adjacency}. A router that does not answer says nothing."""
        for process in self.processes:
            if not process.alive:
                raise LabError(f"a daemon of {self.make} has ended: {process.tail()}")
        try:
            return self.query()
        except (LabError, ValueError, KeyError, TypeError, AttributeError):
            return {}


class FullFRR(Router):
    make = "FRR"
    daemons: tuple[str, ...] = ("zebra", "bfdd", "ospfd", "ospf6d", "isisd", "ripd", "ripngd", "bgpd")

    def _bfd_lines(self) -> list[str]:
        return ["bfd", " profile lab", f"  receive-interval {self.bfd}", f"  transmit-interval {self.bfd}",
                "  detect-multiplier 3"]

    def configurations(self) -> dict[str, list[str]]:
        router_id = self.address4
        key = (f" ip ospf authentication message-digest\n ip ospf message-digest-key 1 md5 {KEY[:16]}"
               if self.authenticated else "")
        isis_key = f" isis password md5 {KEY}" if self.authenticated else ""
        ospf = ["interface eth0", " ip ospf area 0", " ip ospf hello-interval 1", " ip ospf dead-interval 4",
                " ip ospf bfd", " ip ospf bfd profile lab", key]
        ospf6 = ["interface eth0", " ipv6 ospf6 area 0", " ipv6 ospf6 hello-interval 1", " ipv6 ospf6 dead-interval 4",
                 " ipv6 ospf6 bfd", " ipv6 ospf6 bfd profile lab"]
        isis = ["interface eth0", " ip router isis lab", " ipv6 router isis lab", " isis hello-interval 1",
                " isis hello-multiplier 4", " isis bfd", " isis bfd profile lab", isis_key]
        for device in ("ospf0", "flap0"):
            ospf += [f"interface {device}", " ip ospf area 0", " ip ospf passive"]
            ospf6 += [f"interface {device}", " ipv6 ospf6 area 0", " ipv6 ospf6 passive"]
        for device in ("isis0", "flap0"):
            isis += [f"interface {device}", " ip router isis lab", " ipv6 router isis lab", " isis passive"]
        bgp = [f"router bgp {self.asn}", f" bgp router-id {router_id}", " no bgp ebgp-requires-policy",
               " no bgp default ipv4-unicast", " no bgp network import-check", " bgp graceful-restart-disable"]
        for address in (self.neighbour4, self.neighbour6):
            bgp += [f" neighbor {address} remote-as {ROUTER_AS}", f" neighbor {address} timers 3 9",
                    f" neighbor {address} timers connect 1", f" neighbor {address} bfd",
                    f" neighbor {address} bfd profile lab"]
        number = BEHIND["bgp"]
        bgp += [" address-family ipv4 unicast", f"  neighbor {self.neighbour4} activate",
                f"  network 10.{self.lan}.{number}.0/24", " exit-address-family",
                " address-family ipv6 unicast", f"  neighbor {self.neighbour6} activate",
                f"  network 2001:db8:{self.lan}:{number}::/64", " exit-address-family"]
        return {
            "zebra": [],
            "bfdd": self._bfd_lines(),
            "ospfd": ospf + ["router ospf", f" ospf router-id {router_id}", " timers throttle spf 10 50 1000",
                             " timers throttle lsa all 50"],
            "ospf6d": ospf6 + ["router ospf6", f" ospf6 router-id {router_id}", " timers throttle spf 10 50 1000"],
            "isisd": isis + ["router isis lab", f" net 49.0001.0000.0000.000{self.lan}.00", " metric-style wide",
                             " lsp-gen-interval 1", " spf-interval 1", " lsp-timers gen-interval 1 refresh-interval 900"
                             " max-lifetime 1200"],
            "ripd": ["router rip", " version 2", " timers basic 5 15 10", " network eth0", " network rip0",
                     " passive-interface rip0"],
            "ripngd": ["router ripng", " timers basic 5 15 10", " network eth0", " network rip0",
                       " passive-interface rip0"],
            "bgpd": bgp,
        }

    def start(self) -> None:
        for name, lines in self.configurations().items():
            head = ["frr defaults datacenter" if name == "bgpd" else "frr defaults traditional", "hostname frr",
                    f"log file {self.path(name + '.log')}"]
            self.write(name + ".conf", "\n".join(head + [line for line in lines if line]) + "\n")
        shutil.chown(self.folder, "frr", "frr")
        for name in os.listdir(self.folder):
            shutil.chown(self.path(name), "frr", "frr")
        for name in self.daemons:
            self._start_daemon(name)

    def _start_daemon(self, name: str) -> None:
        command = [f"/usr/lib/frr/{name}", "-f", self.path(name + ".conf"), "-P", "0", "-i", self.path(name + ".pid"),
                   "-z", self.path("zserv.sock"), "--vty_socket", self.folder]
        if name == "bfdd":
            command += ["--bfdctl", self.path("bfdd.ctl")]
        if name == "bgpd":
            command += ["-l", self.address4, "-l", self.address6]
        process = Process(command, namespace=self.namespace, log=self.path(name + ".out"))
        self.processes.append(process)
        wait_until(lambda: os.path.exists(self.path(name + ".vty")) or not process.alive, 20, name, interval=0.02)
        if not process.alive:
            raise LabError(f"{name} has ended: {process.tail()}")

    def ask(self, daemon: str, command: str) -> Any:
        return json.loads(run("vtysh", "--vty_socket", self.folder, "-d", daemon, "-c", command, timeout=15) or "{}")

    def tell(self, daemon: str, command: str) -> str:
        return run("vtysh", "--vty_socket", self.folder, "-d", daemon, "-c", command, timeout=15)

    def query(self) -> dict[str, Adjacency]:
        found = {}
        for area in (self.ask("ospfd", "show ip ospf neighbor detail json").get("neighbors") or {}).values():
            for n in area if isinstance(area, list) else [area]:
                address = n.get("ifaceAddress", "?")
                state = n.get("nbrState", "?").split("/")[0]
                found[f"ospf {address}"] = Adjacency(state == "Full", state, n.get("stateChangeCounter"))
        for n in self.ask("ospf6d", "show ipv6 ospf6 neighbor json").get("neighbors", []):
            found["ospfv3"] = Adjacency(n.get("state") == "Full", n.get("state", "?"))
        # The JSON of FRR 8 has room for one level of a circuit; the text tells of both.
        text = self.tell("isisd", "show isis neighbor detail")
        for level, state, flaps in re.findall(r"Level: (\d), State: (\w+),.*?\n\s*Adjacency flaps: (\d+)", text):
            found[f"isis level {level}"] = Adjacency(state == "Up", state, int(flaps))
        for n in self.ask("bfdd", "show bfd peers json"):
            counters = self._bfd_counters().get(n["peer"], {})
            found[f"bfd {_stable(n['peer'])}"] = Adjacency(
                n.get("status") == "up", n.get("status", "?"), counters.get("session-down"),
                time.time() - n["uptime"] if n.get("status") == "up" and "uptime" in n else None)
        for address, n in self.ask("bgpd", "show bgp neighbors json").items():
            found[f"bgp {address}"] = Adjacency(
                n.get("bgpState") == "Established", n.get("bgpState", "?"), n.get("connectionsDropped"),
                n.get("bgpTimerUpEstablishedEpoch"))
        return found

    def _bfd_counters(self) -> dict[str, Answer]:
        return {n["peer"]: n for n in self.ask("bfdd", "show bfd peers counters json")}


def _stable(address: str) -> str:
    return "link-local" if address.startswith("fe80") else address


class FullBIRD(Router):
    make = "BIRD"

    def start(self) -> None:
        lan, number = self.lan, BEHIND
        authentication = (f' authentication cryptographic; password "{KEY[:16]}" {{ id 1; }};' if self.authenticated else "")
        def network(protocol: str) -> tuple[str, str]:
            return f"10.{lan}.{number[protocol]}.0/24", f"2001:db8:{lan}:{number[protocol]}::/64"
        text = f"""log "{self.path('bird.log')}" all;
debug protocols {{ states }};
timeformat protocol iso long ms;
timeformat log iso long ms;
router id {self.address4};
protocol device {{ scan time 1; }}
protocol direct {{ ipv4; ipv6; interface "rip0", "bgp0"; }}
protocol kernel kernel4 {{ scan time 5; ipv4 {{ export where source !~ [ RTS_DEVICE ]; }}; }}
protocol kernel kernel6 {{ scan time 5; ipv6 {{ export where source !~ [ RTS_DEVICE ]; }}; }}
protocol bfd {{
    interface "eth0" {{ interval {self.bfd} ms; multiplier 3; }};
}}
protocol ospf v2 ospf4 {{
    debug {{ states, events }};
    ipv4 {{ import all; export none; }};
    area 0 {{
        interface "eth0" {{ hello 1; dead 4; bfd on; cost 10;{authentication} }};
        interface "ospf0", "isis0", "flap0" {{ stub; }};
    }};
}}
protocol ospf v3 ospf6 {{
    debug {{ states, events }};
    ipv6 {{ import all; export none; }};
    area 0 {{
        interface "eth0" {{ hello 1; dead 4; bfd on; cost 10; }};
        interface "ospf0", "isis0", "flap0" {{ stub; }};
    }};
}}
protocol rip rip4 {{
    debug {{ states, events }};
    ipv4 {{ import all; export where net = {network("rip")[0]}; }};
    interface "eth0" {{ update time 5; timeout time 15; garbage time 10; bfd on; }};
}}
protocol rip ng rip6 {{
    debug {{ states, events }};
    ipv6 {{ import all; export where net = {network("rip")[1]}; }};
    interface "eth0" {{ update time 5; timeout time 15; garbage time 10; bfd on; }};
}}
"""
        for family, local, remote in ((4, self.address4, self.neighbour4), (6, self.address6, self.neighbour6)):
            text += f"""protocol bgp bgp{family} {{
    local {local} as {self.asn};
    neighbor {remote} as {ROUTER_AS};
    hold time 9;
    connect delay time 1;
    connect retry time 2;
    error wait time 1, 2;
    graceful restart off;
    bfd on;
    ipv{family} {{ import all; export where net = {network("bgp")[0 if family == 4 else 1]}; }};
}}
"""
        self.socket = self.path("bird.ctl")
        self.processes = [Process(["bird", "-f", "-c", self.write("bird.conf", text), "-s", self.socket,
                                   "-P", self.path("bird.pid")], namespace=self.namespace, log=self.path("bird.out"))]
        wait_until(lambda: os.path.exists(self.socket), 10, "BIRD's control socket", interval=0.05)

    def ask(self, command: str) -> str:
        return run("birdc", "-s", self.socket, *command.split(), timeout=15)

    def _log(self) -> str:
        try:
            with open(self.path("bird.log"), errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def query(self) -> dict[str, Adjacency]:
        found = {}
        log = self._log()
        for name, protocol in (("ospf4", "ospf"), ("ospf6", "ospfv3")):
            downs = len(re.findall(rf"{name}: Neighbor \S+ on \S+ changed state from Full to", log))
            for line in self.ask(f"show ospf neighbors {name}").splitlines():
                match = re.match(r"\s*(\S+)\s+\d+\s+(\w+)/(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", line)
                if match:
                    found[protocol] = Adjacency(match[2] == "Full", match[2], downs)
        for line in self.ask("show bfd sessions").splitlines():
            match = re.match(r"(\S+)\s+(\S+)\s+(Up|Down|Init|AdminDown)\s+(\S+ ?\S*)\s", line)
            if match:
                name = f"bfd {_stable(match[1])}"
                downs = len(re.findall(rf"Session to {re.escape(match[1])} changed state from Up to", log))
                found[name] = Adjacency(match[3] == "Up", match[3], downs)
        text = self.ask("show protocols all")
        for family in (4, 6):
            match = re.search(rf"^bgp{family}\s+BGP\s+\S+\s+\S+\s+(\S+ \S+)\s+(\S+)", text, re.MULTILINE)
            if match:
                since = time.mktime(time.strptime(match[1].split(".")[0], "%Y-%m-%d %H:%M:%S"))
                found[f"bgp {self.neighbour4 if family == 4 else self.neighbour6}"] = Adjacency(
                    match[2] == "Established", match[2], None, since)
        return found
