"""Restarts of BGP neighbours: FRR and BIRD are killed and started again, and nobody hears of it.

    frr ══ lan1 ══╤═ ctl-a ═╤══ lan2 ══ bird
                  ╘═ ctl-b ═╛

    python3 -m lab.restarts [--programs FOLDER]

One PASS or FAIL line for each sentence checked.
"""

import os
import shutil
import signal
import sys
import time

from .checks import Checks, run_checks
from .fabric import BEHIND, ROUTER4, ROUTER6, VIRTUAL_MACS, PREFIX4, PREFIX6, PEER4, Fabric
from .lockstep import Pair
from .processes import Answer, LabError, Process, on_exit, wait_until
from .routers import ROUTER_AS, FullBIRD, FullFRR, Router
from .topology import make_folder, require_root

RESTART_TIME = 60


def network(lan: int) -> str:
    return f"10.{lan}.{BEHIND['bgp']}.0/24"


def router_text() -> str:
    text = "hostname: lockstep\ninterfaces:\n"
    for lan in (1, 2):
        text += (f"  - name: lan{lan}\n    mac: {VIRTUAL_MACS[lan]}\n    addresses:\n"
                 f"      - {ROUTER4[lan]}/{PREFIX4}\n      - {ROUTER6[lan]}/{PREFIX6}\n")
    text += f"bgp:\n  as: {ROUTER_AS}\n  router-id: {ROUTER4[2]}\n  neighbors:\n"
    for lan in (1, 2):
        text += (f"    - {{address: {PEER4[lan]}, remote-as: {65000 + lan}, import: accept-all, export: accept-all, "
                 "timers: {hold: 9, connect-retry: 2, idle-hold: 1, idle-hold-maximum: 1}}\n")
    return text


class Restarting(Router):
    """A router whose BGP can be killed and started again."""

    def kill(self) -> None:
        raise NotImplementedError

    def restart(self) -> None:
        raise NotImplementedError

    def knows(self, prefix: str) -> object:
        """What changes when the route is announced again; None without it."""
        raise NotImplementedError

    def ask_again(self) -> None:
        """A route refresh."""
        raise NotImplementedError


class RestartingFRR(Restarting, FullFRR):
    daemons: tuple[str, ...] = ("zebra", "bgpd")

    def configurations(self) -> dict[str, list[str]]:
        n = self.neighbour4
        return {"zebra": [], "bgpd": [
            f"router bgp {self.asn}", f" bgp router-id {self.address4}", " no bgp ebgp-requires-policy",
            " no bgp network import-check", " bgp graceful-restart", " bgp graceful-restart preserve-fw-state",
            f" bgp graceful-restart restart-time {RESTART_TIME}", f" neighbor {n} remote-as {ROUTER_AS}",
            f" neighbor {n} timers 3 9", f" neighbor {n} timers connect 1", " address-family ipv4 unicast",
            f"  network {network(self.lan)}", " exit-address-family"]}

    def kill(self) -> None:
        os.kill(self.processes.pop().pid, signal.SIGKILL)
        os.remove(self.path("bgpd.vty"))

    def restart(self) -> None:
        self._start_daemon("bgpd")

    def knows(self, prefix: str) -> object:
        paths = self.ask("bgpd", f"show bgp ipv4 unicast {prefix} json").get("paths")
        return paths[0].get("lastUpdate", {}).get("epoch") if paths else None

    def ask_again(self) -> None:
        self.tell("bgpd", f"clear bgp ipv4 unicast {self.neighbour4} soft in")


class RestartingBIRD(Restarting, FullBIRD):
    def start(self) -> None:
        self._run()

    def _run(self, *options: str) -> None:
        text = f"""log "{self.path('bird.log')}" all;
router id {self.address4};
graceful restart wait 20;
protocol device {{ scan time 1; }}
protocol static {{ ipv4; route {network(self.lan)} blackhole; }}
protocol bgp bgp4 {{
    local {self.address4} as {self.asn};
    neighbor {self.neighbour4} as {ROUTER_AS};
    hold time 9;
    connect delay time 1;
    connect retry time 2;
    error wait time 1, 2;
    graceful restart on;
    graceful restart time {RESTART_TIME};
    ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
"""
        self.socket = self.path("bird.ctl")
        self.processes = [Process(["bird", "-f", *options, "-c", self.write("bird.conf", text), "-s", self.socket,
                                   "-P", self.path("bird.pid")], namespace=self.namespace, log=self.path("bird.out"))]
        wait_until(lambda: os.path.exists(self.socket), 10, "BIRD's control socket", interval=0.05)

    def kill(self) -> None:
        os.kill(self.processes.pop().pid, signal.SIGKILL)
        os.remove(self.socket)

    def restart(self) -> None:
        self._run("-R")

    def knows(self, prefix: str) -> object:
        lines = [line for line in self.ask(f"show route {prefix}").splitlines() if "bgp4" in line]
        return lines[0] if lines else None

    def ask_again(self) -> None:
        self.ask("reload in bgp4")


class RestartLab:
    def __init__(self, programs: str) -> None:
        require_root()
        self.fabric = Fabric()
        self.folder = make_folder()
        on_exit(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        controllers = self.fabric.add_pair()
        self.frr = RestartingFRR(self.fabric.add_router("frr", 1)[0], os.path.join(self.folder, "frr"), 1)
        self.bird = RestartingBIRD(self.fabric.add_router("bird", 2)[0], os.path.join(self.folder, "bird"), 2)
        on_exit(self.frr.stop)
        on_exit(self.bird.stop)
        self.pair = Pair(controllers, os.path.join(self.folder, "pair"), [], programs, router=router_text(),
                         ports={"lan1": "svc0", "lan2": "svc1"})

    def path(self, lan: int) -> Answer | None:
        """The path to a network of this side, as the active shows it."""
        active = self.pair.active()
        view = active.show("route", network(lan)) if active else None
        for route in (view or {}).get("routes", []):
            for path in route["paths"]:
                if path["protocol"] == "bgp":
                    return dict(path["bgp"])
        return None

    def neighbor(self, lan: int) -> Answer:
        active = self.pair.active()
        view = active.show("bgp", "neighbors", PEER4[lan]) if active else None
        found = (view or {}).get("neighbors") or [{}]
        return dict(found[0])

    def is_stale(self, lan: int) -> bool:
        return (self.path(lan) or {}).get("stale") == "yes"

    def is_fresh(self, lan: int) -> bool:
        path = self.path(lan)
        return path is not None and path.get("stale") is None


def same(one: object, other: object) -> bool:
    """FRR's clock of a route is a second off at times: it is made of two others."""
    if isinstance(one, int) and isinstance(other, int):
        return abs(one - other) <= 1
    return one == other


def checks_of_restarts(lab: RestartLab, checks: Checks) -> None:
    pair = lab.pair
    lab.frr.start()
    lab.bird.start()
    pair.start()
    pair.wait_redundant()
    couples: list[tuple[Restarting, Restarting]] = [(lab.frr, lab.bird), (lab.bird, lab.frr)]
    for who, other in couples:
        wait_until(lambda: lab.is_fresh(who.lan) and other.knows(network(who.lan)) is not None, 40,
                   f"{other.make} has the route of {who.make}{pair.trouble()}")
    for who, other in couples:
        prefix = network(who.lan)
        agreed = lab.neighbor(who.lan).get("gracefulRestart", {})
        checks.expect(f"{who.make}: preserves IPv4 unicast", "ipv4-unicast" in agreed.get("preserved", []), agreed)
        told = other.knows(prefix)
        who.kill()
        wait_until(lambda: lab.is_stale(who.lan), 15, f"the route of {who.make} is stale: {lab.path(who.lan)}")
        active, _ = pair.wait_redundant()
        active.control("switchover", "--reason", "test", timeout=10)
        pair.wait_redundant()
        checks.expect(f"{who.make} is killed: its route is kept as stale, also by the next active",
                      lab.is_stale(who.lan), lab.path(who.lan))
        time.sleep(2)
        checks.expect(f"and {other.make} has it as before", same(other.knows(prefix), told), f"{told} and {other.knows(prefix)}")
        who.restart()
        try:
            wait_until(lambda: lab.is_fresh(who.lan), 40, f"the route is fresh: {lab.path(who.lan)}")
            checks.line(f"{who.make} is back and has said all")
        except LabError as error:
            checks.line(f"{who.make} is back and has said all", error)
        time.sleep(1)
        checks.expect(f"and {other.make} never heard of it", same(other.knows(prefix), told), f"{told} and {other.knows(prefix)}")
        before = lab.neighbor(who.lan).get("counters", {}).get("sent", {}).get("routeRefreshes", 0)
        who.ask_again()
        time.sleep(3)
        after = lab.neighbor(who.lan).get("counters", {}).get("sent", {}).get("routeRefreshes", 0)
        checks.expect(f"{who.make} asks for a refresh: its beginning and its end are marked", after - before == 2,
                      f"{after - before} marks")


if __name__ == "__main__":
    sys.exit(run_checks("restarts", sys.argv[1:], RestartLab, checks_of_restarts))
