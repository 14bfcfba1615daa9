"""Scripts/bench --igp: a network of 1,000 routers and 5,000 links learnt by OSPF or IS-IS, then links that change.

The router under test has one point-to-point neighbour (linkstate.py), which hands it the whole database. Processor time
is what the router's own processes used from the first packet until they are idle again; then, for each changed link
(two LSAs or LSPs), what they used above their idle use. Every router gets the same database in the same order. No router
writes routes to a kernel. FRR's figure is that of ospfd or isisd alone, without zebra.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from typing import Any

from . import processes
from .blaster import LineProgram
from .fabric import PEER4, ROUTER4, VIRTUAL_MACS, Fabric
from .lockstep import Pair
from .processes import LabError, Process, fine_cpu_seconds, on_exit, run, say, wait_until
from .topology import make_folder, require_root

# BIRD calculates once a second at most (tick): with this every router calculates for every change.
INTERVAL = 1200

LOCAL, REMOTE = PEER4[1], ROUTER4[1]


# One run's figures, by their names.
Result = dict[str, Any]


class _Router:
    process: Process

    def __init__(self, protocol: str, namespace: str, folder: str, programs: str) -> None:
        self.protocol, self.namespace, self.folder = protocol, namespace, folder
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)

    def write(self, name: str, text: str) -> str:
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def start(self) -> None:
        raise NotImplementedError

    def routes(self) -> int:
        """How many it has learnt."""
        raise NotImplementedError

    def own_address(self) -> None:
        run("ip", "-n", self.namespace, "address", "add", f"{REMOTE}/24", "dev", "svc0")


class _BIRD(_Router):
    def start(self) -> None:
        self.own_address()
        self.process = Process(["bird", "-f", "-c", self.write("bird.conf", f"""
router id {REMOTE};
protocol device {{ }}
protocol ospf v2 {{ ipv4 {{ import all; export none; }}; tick 1;
  area 0 {{ interface "svc0" {{ type pointopoint; hello 1; dead 4; }}; }}; }}
"""), "-s", os.path.join(self.folder, "ctl"), "-P", os.path.join(self.folder, "pid")], namespace=self.namespace,
            log=os.path.join(self.folder, "log"))

    def routes(self) -> int:
        text = run("birdc", "-s", os.path.join(self.folder, "ctl"), "show", "route", "count", timeout=20)
        return next((int(line.split()[0]) for line in text.splitlines() if " routes for " in line or " of " in line), 0)


class _FRR(_Router):
    def start(self) -> None:
        self.own_address()
        daemon = "ospfd" if self.protocol == "ospf" else "isisd"
        if self.protocol == "ospf":
            text = ("interface svc0\n ip ospf area 0\n ip ospf network point-to-point\n ip ospf hello-interval 1\n"
                    " ip ospf dead-interval 4\nrouter ospf\n" f" ospf router-id {REMOTE}\n"
                    " timers throttle spf 0 20 20\n timers lsa min-arrival 0\n")
        else:
            text = ("interface svc0\n ip router isis lab\n isis network point-to-point\n isis hello-interval 1\n"
                    " isis circuit-type level-2-only\nrouter isis lab\n net 49.0001.0000.0000.0100.00\n is-type level-2-only\n"
                    " metric-style wide\n spf-interval 1\n spf-delay-ietf init-delay 1 short-delay 20 long-delay 20 holddown 100"
                    " time-to-learn 50\n")
        config = self.write("frr.conf", "hostname frr\n" + text)
        zebra = self.write("zebra.conf", "hostname frr\n")
        shutil.chown(self.folder, "frr", "frr")
        for name in os.listdir(self.folder):
            shutil.chown(os.path.join(self.folder, name), "frr", "frr")
        common = ["-P", "0", "-z", os.path.join(self.folder, "zserv.sock"), "--vty_socket", self.folder]
        # zebra tells the daemon its interfaces; -n of ospfd is not there, so routes go to zebra, whose time is not counted.
        self.zebra = Process(["/usr/lib/frr/zebra", "-f", zebra, "-i", os.path.join(self.folder, "z.pid"), *common],
                             namespace=self.namespace, log=os.path.join(self.folder, "zebra.log"))
        wait_until(lambda: os.path.exists(os.path.join(self.folder, "zserv.sock")), 10, "zebra", interval=0.05)
        self.process = Process([f"/usr/lib/frr/{daemon}", "-f", config, "-i", os.path.join(self.folder, "d.pid"), *common],
                               namespace=self.namespace, log=os.path.join(self.folder, "log"))

    def routes(self) -> int:
        text = run("vtysh", "--vty_socket", self.folder, "-d", "zebra", "-c", "show ip route summary json", timeout=20)
        return sum(int(r["rib"]) for r in json.loads(text)["routes"] if r["type"] in ("ospf", "isis"))


class _Lockstep(_Router):
    def __init__(self, protocol: str, namespace: str, folder: str, programs: str) -> None:
        super().__init__(protocol, namespace, folder, programs)
        text = (f"hostname: lockstep\ninterfaces:\n  - name: lan1\n    mac: {VIRTUAL_MACS[1]}\n    addresses:\n"
                f"      - {REMOTE}/24\n")
        if protocol == "ospf":
            text += (f"ospf:\n  router-id: {REMOTE}\n  areas:\n    - id: 0\n      interfaces:\n"
                     "        - {name: lan1, network: point-to-point, hello: 1s, dead: 4s}\n")
        else:
            text += ("isis:\n  net: 49.0001.0000.0000.0100.00\n  levels: 2\n  interfaces:\n"
                     "    - {name: lan1, network: point-to-point, hello: 1s}\n")
        self.pair = Pair({"a": namespace, "b": namespace}, folder, [], programs, alone=True, router=text,
                         ports={"lan1": "svc0"}, forwarding="memory")

    def start(self) -> None:
        self.pair.start()
        self.pair.wait_active()
        self.process = self.pair.controllers["a"].process

    def routes(self) -> int:
        view = self.pair.controllers["a"].show("fib", "groups", timeout=20) or {}
        return int(view.get("ipv4Routes", 0))


ROUTERS: dict[str, type[_Router]] = {"bird": _BIRD, "frr": _FRR, "lockstep": _Lockstep}


def _idle(pid: int, quiet: float = 0.5, timeout: float = 30) -> float:
    deadline = time.monotonic() + timeout
    before = fine_cpu_seconds(pid)
    while True:
        time.sleep(quiet)
        after = fine_cpu_seconds(pid)
        if after - before < 0.05 * quiet or time.monotonic() > deadline:
            return after
        before = after


def measure(name: str, protocol: str, programs: str, routers: int, links: int, changes: int) -> Result:
    require_root()
    try:
        folder = make_folder()
        on_exit(lambda: shutil.rmtree(folder, ignore_errors=True))
        fabric = Fabric()
        namespace = fabric.add_pair()["a"]
        peer = fabric._namespace("peer")
        fabric.attach(peer, "eth0", "p1-peer", 1)
        run("ip", "-n", peer, "link", "set", "eth0", "up")
        run("ip", "-n", peer, "address", "add", f"{LOCAL}/24", "dev", "eth0")
        router = ROUTERS[name](protocol, namespace, os.path.join(folder, "router"), programs)
        router.start()
        time.sleep(1)
        pid = router.process.pid
        before = _idle(pid)
        idle_from, idle_cpu = time.monotonic(), before
        time.sleep(2)
        idle = (fine_cpu_seconds(pid) - idle_cpu) / (time.monotonic() - idle_from)
        before, began = fine_cpu_seconds(pid), time.monotonic()
        emulator = LineProgram([sys.executable, "-m", "lab.linkstate", protocol, "eth0", LOCAL, routers, links], peer,
                               os.path.join(folder, "emulator.log"))
        wait_until(lambda: bool(emulator.ask("status")["state"] == "full"), 60, f"{name}: adjacency", interval=0.2)
        wait_until(lambda: router.routes() >= routers - 1, 60, f"{name}: {routers} routes", interval=0.5)
        after = _idle(pid)
        converged = after - before - idle * (time.monotonic() - began)
        # The second half counts: what is only done once is over by then.
        costs = []
        for _ in range(2):
            before, began = fine_cpu_seconds(pid), time.monotonic()
            emulator.ask(f"change {changes} {INTERVAL}")
            wait_until(lambda: bool(emulator.ask("status")["pending"] == 0), 60 + 2 * changes, "the changes", interval=0.5)
            time.sleep(1)
            took = time.monotonic() - began
            costs.append((fine_cpu_seconds(pid) - before - idle * took) / changes)
        emulator.stop()
        return {"router": name, "protocol": protocol, "converged_cpu_s": round(converged, 4),
                "change_cpu_ms": round(costs[-1] * 1000, 4)}
    finally:
        processes.clean_up()


def main(options: argparse.Namespace, programs: str) -> int:
    results = []
    for protocol in ("ospf", "isis"):
        for _ in range(options.repeat):
            for name in ("bird", "frr", "lockstep"):
                if name == "bird" and protocol == "isis":
                    continue
                try:
                    result = measure(name, protocol, programs, 1000, 5000, 12)
                    results.append(result)
                    say(f"{protocol} {name}: {result['converged_cpu_s']:.3f} s of processor to learn it all,"
                        f" {result['change_cpu_ms']:.3f} ms for a changed link")
                except LabError as error:
                    say(f"{protocol} {name}: no result: {error}")
    print(f"\n{'':<16} {'learn it all':>14} {'a changed link':>16}   (processor time; x Lockstep's)")
    for protocol in ("ospf", "isis"):
        medians = {}
        for name in ("lockstep", "frr", "bird"):
            runs = [r for r in results if (r["protocol"], r["router"]) == (protocol, name)]
            if runs:
                medians[name] = tuple(statistics.median(r[key] for r in runs) for key in ("converged_cpu_s", "change_cpu_ms"))
        own = medians.get("lockstep")
        for name, (learn, change) in medians.items():
            ratio = f"{learn / own[0]:>6.1f}x {change / own[1]:>6.1f}x" if own and all(x > 0 for x in own) else ""
            print(f"{protocol + ' ' + name:<16} {learn:>12.3f} s {change:>13.3f} ms   {ratio}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    return 0
