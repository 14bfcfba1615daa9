"""The real routers: FRR, BIRD, GoBGP and OpenBGPD.

Each can be a peer in the lab or the router under test in the benchmark; the configuration is the same but
for the neighbours. What a daemon says about a session is brought into one form, `SessionReport`.

Graceful restart is switched off wherever it can be: it keeps routes over a lost session and would hide it.
"""

import json
import os
import re
import shutil
import time
from dataclasses import dataclass

from .processes import LabError, Process, run, wait_until


@dataclass
class Neighbour:
    """One session, as seen from the daemon that is configured with it."""
    address: str
    asn: int
    hold: int = 9
    passive: bool = False
    password: str | None = None
    retry_at_once: bool = False      # no growing pause after a failure

    @property
    def family(self) -> int:
        return 6 if ":" in self.address else 4


@dataclass
class SessionReport:
    """What a peer says about one of its sessions. Counters it does not keep are None."""
    up: bool
    state: str
    up_since: float | None = None       # wall clock
    established: int | None = None      # times the session came up
    dropped: int | None = None          # times it went down
    prefixes: int = 0                      # accepted from the neighbour


class Daemon:
    """What the four makes have in common."""

    make = "?"
    # A peer that reports whole seconds of uptime cannot place its start any better than this.
    uptime_resolution = 1.6

    def __init__(self, namespace: str, folder: str, asn: int, address4: str, address6: str, neighbours: list[Neighbour]) -> None:
        self.namespace, self.folder = namespace, folder
        self.asn, self.address4, self.address6 = asn, address4, address6
        self.neighbours = neighbours
        self.process: Process | None = None
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def write(self, name: str, text: str, mode: int = 0o644) -> str:
        path = self.path(name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def of_family(self, family: int) -> list[Neighbour]:
        return [n for n in self.neighbours if n.family == family]

    def start(self) -> None:
        for name in os.listdir(self.folder):
            if name.endswith((".sock", ".ctl", ".vty", ".pid")):
                os.unlink(self.path(name))
        self.process = Process(self.prepare(), namespace=self.namespace, log=self.path("log"))

    def stop(self) -> None:
        if self.process:
            self.process.stop()

    def prepare(self) -> list[str]:
        """Writes the configuration and returns the command line."""
        raise NotImplementedError

    def reports(self) -> dict[str, SessionReport]:
        """{neighbour address: SessionReport}; an empty one when the daemon does not answer."""
        if not self.process or not self.process.alive:
            raise LabError(f"{self.make} has ended: {self.process.tail() if self.process else ''}")
        try:
            return self.query()
        except (LabError, ValueError, KeyError, TypeError):
            return {}

    def query(self) -> dict[str, SessionReport]:
        raise NotImplementedError


class FRR(Daemon):
    make = "FRR"
    zebra: Process | None = None
    # As the router under test it does without: no next hop there is link-local, and with zebra it refused IPv6 sessions.
    uses_zebra = True

    def start(self) -> None:
        if self.zebra:
            self.zebra.stop()
        super().start()

    def stop(self) -> None:
        super().stop()
        if self.zebra:
            self.zebra.stop()

    def prepare(self) -> list[str]:
        lines = ["frr defaults traditional", "hostname frr", "log file " + self.path("bgpd.log"),
                 f"router bgp {self.asn}", f" bgp router-id {self.address4}",
                 " no bgp ebgp-requires-policy", " no bgp default ipv4-unicast", " no bgp network import-check",
                 " bgp graceful-restart-disable"]
        for n in self.neighbours:
            lines += [f" neighbor {n.address} remote-as {n.asn}",
                      f" neighbor {n.address} timers {max(1, n.hold // 3)} {n.hold}",
                      f" neighbor {n.address} timers connect 1",
                      f" neighbor {n.address} advertisement-interval 0"]
            if n.passive:
                lines.append(f" neighbor {n.address} passive")
            if n.password:
                lines.append(f" neighbor {n.address} password {n.password}")
        for family in (4, 6):
            lines.append(f" address-family ipv{family} unicast")
            for n in self.of_family(family):
                lines += [f"  neighbor {n.address} activate",
                          f"  neighbor {n.address} soft-reconfiguration inbound"][:1]
            lines.append(" exit-address-family")
        config = self.write("bgpd.conf", "\n".join(lines) + "\n", 0o640)
        # Both daemons run as Debian's user frr and write their sockets and logs here.
        shutil.chown(self.folder, "frr", "frr")
        for name in os.listdir(self.folder):
            shutil.chown(self.path(name), "frr", "frr")
        if not self.uses_zebra:
            return ["/usr/lib/frr/bgpd", "-f", config, "-n", "-Z", "-P", "0", "-i", self.path("bgpd.pid"),
                    "--vty_socket", self.folder, "-l", self.address4, "-l", self.address6,
                    "--log", "file:" + self.path("bgpd.log")]
        zebra = self.zebra = Process(["/usr/lib/frr/zebra", "-f", self.write("zebra.conf", "hostname frr\n"), "-P", "0",
                              "-i", self.path("zebra.pid"), "-z", self.path("zserv.sock"), "--vty_socket", self.folder],
                             namespace=self.namespace, log=self.path("zebra.log"))
        wait_until(lambda: os.path.exists(self.path("zserv.sock")) or not zebra.alive, 20, "zebra", interval=0.02)
        if not zebra.alive:
            raise LabError(f"zebra has ended: {zebra.tail()}")
        # Without zebra it would know no interfaces and refuse next hops with a link-local address (RFC 2545 §3);
        # but no route goes to the kernel (-n).
        return ["/usr/lib/frr/bgpd", "-f", config, "-n", "-P", "0", "-i", self.path("bgpd.pid"),
                "-z", self.path("zserv.sock"), "--vty_socket", self.folder, "-l", self.address4, "-l", self.address6,
                "--log", "file:" + self.path("bgpd.log")]

    def query(self) -> dict[str, SessionReport]:
        text = run("vtysh", "--vty_socket", self.folder, "-d", "bgpd", "-c", "show bgp neighbors json", timeout=15)
        found = {}
        for address, n in json.loads(text).items():
            families = n.get("addressFamilyInfo", {})
            found[address] = SessionReport(
                up=n.get("bgpState") == "Established", state=n.get("bgpState", "?"),
                up_since=n.get("bgpTimerUpEstablishedEpoch"),
                established=n.get("connectionsEstablished"), dropped=n.get("connectionsDropped"),
                prefixes=sum(f.get("acceptedPrefixCounter", 0) for f in families.values()))
        return found


class BIRD(Daemon):
    make = "BIRD"
    uptime_resolution = 0.05

    @staticmethod
    def _protocol_name(n: Neighbour) -> str:
        return "n_" + re.sub(r"[^0-9a-f]", "_", n.address)

    def prepare(self) -> list[str]:
        text = f"""log "{self.path('bird.log')}" all;
debug protocols {{ states }};
timeformat protocol iso long ms;
timeformat log iso long ms;
router id {self.address4};
protocol device {{ }}
"""
        for n in self.neighbours:
            local = self.address4 if n.family == 4 else self.address6
            text += f"""protocol bgp {self._protocol_name(n)} {{
    local {local} as {self.asn};
    neighbor {n.address} as {n.asn};
    hold time {n.hold};
    keepalive time {max(1, n.hold // 3)};
    connect delay time 1;
    connect retry time 2;
    error wait time 1, 2;
    graceful restart off;
    long lived graceful restart off;
    {"passive;" if n.passive else ""}
    {f'password "{n.password}";' if n.password else ""}
    ipv{n.family} {{ import all; export where source = RTS_BGP; }};
}}
"""
        config = self.write("bird.conf", text)
        return ["bird", "-f", "-c", config, "-s", self.path("bird.ctl"), "-P", self.path("bird.pid")]

    def query(self) -> dict[str, SessionReport]:
        text = run("birdc", "-s", self.path("bird.ctl"), "show", "protocols", "all", timeout=15)
        log = ""
        try:
            with open(self.path("bird.log"), errors="replace") as file:
                log = file.read()
        except OSError:
            pass
        found = {}
        for n in self.neighbours:
            name = self._protocol_name(n)
            match = re.search(rf"^{name}\s+BGP\s+\S+\s+(\S+)\s+(\d+-\d+-\d+ [\d:.]+)\s*(.*?)$(.*?)(?=^\S|\Z)",
                              text, re.M | re.S)
            if not match:
                continue
            told = re.search(r"BGP state:\s+(\S+)", match[4])
            state = told[1] if told else match[1]
            routes = re.search(r"Routes:\s+(\d+) imported", match[4])
            seconds, fraction = match[2].split(".")
            # BIRD prints local time without its zone.
            since = time.mktime(time.strptime(seconds, "%Y-%m-%d %H:%M:%S")) + float("0." + fraction)
            changes = re.findall(rf" {name}: State changed to (\w+)$", log, re.M)
            ups = changes.count("up")
            downs = ups - 1 if changes and changes[-1] == "up" else ups
            found[n.address] = SessionReport(
                up=state == "Established", state=state, up_since=since if state == "Established" else None,
                established=ups, dropped=downs, prefixes=int(routes[1]) if routes else 0)
        return found


class GoBGP(Daemon):
    make = "GoBGP"

    def prepare(self) -> list[str]:
        text = f"""[global.config]
  as = {self.asn}
  router-id = "{self.address4}"
  local-address-list = ["{self.address4}", "{self.address6}"]
"""
        for n in self.neighbours:
            text += f"""
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{n.address}"
    peer-as = {n.asn}
    {f'auth-password = "{n.password}"' if n.password else ""}
  [neighbors.timers.config]
    hold-time = {n.hold}
    keepalive-interval = {max(1, n.hold // 3)}
    connect-retry = 2
    idle-hold-time-after-reset = 2
  [neighbors.transport.config]
    passive-mode = {"true" if n.passive else "false"}
    local-address = "{self.address4 if n.family == 4 else self.address6}"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv{n.family}-unicast"
"""
        config = self.write("gobgpd.toml", text)
        return ["gobgpd", "-f", config, "-t", "toml", "--api-hosts", "127.0.0.1:50051", "--pprof-disable"]

    def query(self) -> dict[str, SessionReport]:
        text = run("ip", "netns", "exec", self.namespace, "gobgp", "-j", "neighbor", timeout=30)
        found = {}
        for n in json.loads(text):
            state = n.get("state", {})
            up = state.get("session_state") == 6
            uptime = n.get("timers", {}).get("state", {}).get("uptime", {}).get("seconds")
            flops = state.get("flops", 0)
            found[n["conf"]["neighbor_address"]] = SessionReport(
                up=up, state=str(state.get("session_state", "?")), up_since=float(uptime) if up and uptime else None,
                established=flops + 1 if up else None, dropped=flops,
                prefixes=sum(int(f.get("state", {}).get("accepted", 0)) for f in n.get("afi_safis", [])))
        return found


class OpenBGPD(Daemon):
    make = "OpenBGPD"

    def prepare(self) -> list[str]:
        # Its privilege-separated processes live in this chroot, which only the init script makes.
        os.makedirs("/run/openbgpd", exist_ok=True)
        os.chmod("/run/openbgpd", 0o755)
        text = f"""AS {self.asn}
router-id {self.address4}
fib-update no
holdtime min 3
socket "{self.path('bgpd.sock')}"
listen on {self.address4}
listen on {self.address6}
allow from any
allow to any
"""
        for n in self.neighbours:
            local = self.address4 if n.family == 4 else self.address6
            text += f"""neighbor {n.address} {{
    remote-as {n.asn}
    local-address {local}
    holdtime {n.hold}
    announce IPv4 {"unicast" if n.family == 4 else "none"}
    announce IPv6 {"unicast" if n.family == 6 else "none"}
    announce restart no
    {"passive" if n.passive else ""}
    {f'tcp md5sig password {n.password}' if n.password else ""}
}}
"""
        config = self.write("bgpd.conf", text, 0o600)
        return ["/usr/sbin/bgpd", "-d", "-f", config]

    def query(self) -> dict[str, SessionReport]:
        text = run("bgpctl", "-s", self.path("bgpd.sock"), "-j", "show", "neighbor", timeout=30)
        # It counts nothing itself, but its log on the standard error has every change of state.
        with open(self.path("log"), errors="replace") as file:
            log = file.read()
        found = {}
        for n in json.loads(text).get("neighbors", []):
            stats = n.get("stats", {})
            up = n.get("state") == "Established"
            changes = re.findall(rf"neighbor {re.escape(n['remote_addr'])}\S*: state change (\w+) -> (\w+)", log)
            found[n["remote_addr"]] = SessionReport(
                up=up, state=n.get("state", "?"),
                up_since=time.time() - n["last_updown_sec"] if up and "last_updown_sec" in n else None,
                dropped=sum(1 for old, _ in changes if old == "Established"),
                prefixes=stats.get("prefixes", {}).get("received", 0))
        return found


MAKES: dict[str, type[Daemon]] = {make.make.lower(): make for make in (FRR, BIRD, GoBGP, OpenBGPD)}
