"""Packets through the pair's kernels, without any routing protocol: what Sources/Host/Forwarding promises.

    h1 ══ lan1 ══╤═ ctl-a ═╤══ lan2 ══ h2
                 ╘═ ctl-b ═╛

    python3 -m lab.forwarding [--programs FOLDER]

One PASS or FAIL line for each sentence checked.
"""

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable

from .blaster import Blaster, build
from .checks import Checks, run_checks
from .fabric import PEER4, PEER6, PREFIX4, PREFIX6, ROUTER4, ROUTER6, VIRTUAL_MACS, Fabric
from .lockstep import Pair, is_active
from .processes import Answer, LabError, Process, on_exit, run, wait_until
from .table import Table
from .topology import ROUTER_AS, make_folder, require_root

# Behind h2, and nowhere.
STATIC4, STATIC6, HOLE4 = "198.51.100.0/24", "2001:db8:51::/48", "203.0.113.0/24"
LOSS = {"graceful": 20, "kill": 100}
PEER_AS = 65002
# What the BGP peer behind lan2 announces, and what is left of it after both controllers were killed.
ANNOUNCED, LEFT = 2102, 102


def router_text() -> str:
    text = "hostname: lockstep\ninterfaces:\n"
    for lan in (1, 2):
        text += (f"  - name: lan{lan}\n    mac: {VIRTUAL_MACS[lan]}\n    addresses:\n"
                 f"      - {ROUTER4[lan]}/{PREFIX4}\n      - {ROUTER6[lan]}/{PREFIX6}\n")
    return text + (f"static-routes:\n  - {{prefix: {STATIC4}, next-hop: {PEER4[2]}}}\n"
                   f"  - {{prefix: {STATIC6}, next-hop: '{PEER6[2]}'}}\n  - {{prefix: {HOLE4}, blackhole: true}}\n"
                   f"bgp:\n  as: {ROUTER_AS}\n  router-id: {ROUTER4[2]}\n  neighbors:\n"
                   f"    - {{address: {PEER4[2]}, remote-as: {PEER_AS}, import: accept-all, export: accept-all, "
                   "timers: {hold: 9, connect-retry: 2}}\n"
                   "testing:\n  enabled: true\n")


class ForwardingLab:
    def __init__(self, programs: str, alone: bool = False) -> None:
        require_root()
        self.fabric = Fabric()
        self.folder = make_folder()
        on_exit(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        self.controllers = self.fabric.add_pair()
        self.hosts: dict[int, str] = {}
        for lan in (1, 2):
            host = self.hosts[lan] = self.fabric._namespace(f"h{lan}")
            self.fabric.attach(host, "eth0", f"p{lan}-h{lan}", lan)
            self.fabric._address(host, "eth0", f"{PEER4[lan]}/{PREFIX4}", f"{PEER6[lan]}/{PREFIX6}")
            run("ip", "-n", host, "route", "add", "default", "via", ROUTER4[lan])
            run("ip", "-n", host, "-6", "route", "add", "default", "via", ROUTER6[lan])
        run("ip", "-n", self.hosts[2], "address", "add", "198.51.100.1/32", "dev", "lo")
        run("ip", "-n", self.hosts[2], "address", "add", "2001:db8:51::1/128", "dev", "lo")
        self.bgpblast = build(self.folder)
        self.pair = Pair(self.controllers, os.path.join(self.folder, "pair"), [], programs, alone=alone,
                         router=router_text(), ports={"lan1": "svc0", "lan2": "svc1"}, forwarding="kernel")

    def host(self, lan: int, *command: object, check: bool = True, timeout: float = 30) -> str:
        return run("ip", "netns", "exec", self.hosts[lan], *command, check=check, timeout=timeout)

    def peer(self, count: int) -> Blaster:
        """A BGP speaker on lan2 with so many routes."""
        table = Table(self.folder, count, 0, "made here")
        with open(table.attributes, "w") as file:
            file.write(f"{PEER_AS} 65010;0;0;\n")
        with open(table.v4, "w") as file:
            file.writelines(f"20.{i >> 8}.{i & 255}.0/24 0\n" for i in range(count))
        return Blaster(self.bgpblast, self.hosts[2], os.path.join(self.folder, f"peer-{count}"), PEER4[2], ROUTER4[2], PEER_AS,
                       ROUTER_AS, hold=9, table=table)

    def bgp_routes(self, side: str) -> int:
        """How many of the peer's routes the kernel of a host has."""
        listed = run("ip", "netns", "exec", self.controllers[side], "ip", "route", "show", "proto", "76")
        return sum(line.startswith("20.") for line in listed.splitlines())

    def ping(self, target: str, *options: str, lan: int = 1) -> tuple[int, int, int]:
        """(sent, received, duplicates)"""
        text = self.host(lan, "ping", "-n", "-q", *options, target, check=False, timeout=60)
        match = re.search(r"(\d+) packets transmitted, (\d+) received(?:, \+(\d+) duplicates)?", text)
        if not match:
            raise LabError(f"ping {target}: {text}")
        return int(match[1]), int(match[2]), int(match[3] or 0)

    def fib(self, side: str) -> Answer:
        return self.pair.controllers[side].show("fib", "kernel") or {}

    def wait_routes(self, side: str, count: int = 1) -> Answer:
        def ready() -> Answer | None:
            view = self.fib(side)
            families = {f["family"]: f for f in view.get("families", [])}
            whole = bool(families) and all(
                f["wanted"] >= count and f["installed"] == f["wanted"] for f in families.values())
            return view if whole else None
        return wait_until(ready, 15, f"the kernel of {side} has the table: {self.fib(side)}{self.pair.trouble()}")


def stream(lab: ForwardingLab, checks: Checks, kind: str, act: Callable[[], object]) -> None:
    """A thousand packets a second while `act` happens."""
    log = os.path.join(lab.folder, f"stream-{kind}")
    process = Process(["ping", "-n", "-q", "-i", "0.001", "-c", "4000", PEER4[2]], namespace=lab.hosts[1], log=log)
    time.sleep(1)
    act()
    process.popen.wait(30)
    with open(log) as file:
        text = file.read()
    match = re.search(r"(\d+) packets transmitted, (\d+) received(?:, \+(\d+) duplicates)?", text)
    if not match:
        raise LabError(f"ping while {kind}: {text}")
    lost, duplicates = int(match[1]) - int(match[2]), int(match[3] or 0)
    checks.expect(f"{kind}: {lost} of {match[1]} packets lost, at most {LOSS[kind]}; {duplicates} twice",
                  lost <= LOSS[kind] and duplicates == 0, f"{lost} lost, {duplicates} twice")


def checks_of_a_pair(lab: ForwardingLab, checks: Checks) -> None:
    pair = lab.pair
    pair.start()
    active, _ = pair.wait_redundant()
    standby = pair.other(active)
    for side in "ab":
        lab.wait_routes(side)
    checks.line("both kernels have the whole table")
    views = {c.side: lab.fib(c.side) for c in (active, standby)}
    checks.expect("the gate is open on the active only", views[active.side]["isGateOpen"]
                  and not views[standby.side]["isGateOpen"], views)
    for name, target in (("IPv4", PEER4[2]), ("IPv6", PEER6[2]), ("a static route", "198.51.100.1"),
                         ("a static route of IPv6", "2001:db8:51::1")):
        sent, received, twice = lab.ping(target, "-c", "20", "-i", "0.02")
        checks.expect(f"packets go through: {name}", received >= 19 and not twice, f"{received} of {sent}, {twice} twice")
    sent, received, _ = lab.ping("203.0.113.9", "-c", "3", "-i", "0.1", "-W", "1")
    checks.expect("a blackhole swallows", received == 0)
    text = lab.host(1, "ping", "-n", "-c", "1", "-t", "1", "-W", "2", PEER4[2], check=False)
    checks.expect("time exceeded comes from the router's address", f"From {ROUTER4[1]}" in text, text.replace("\n", " "))
    sent, received, twice = lab.ping(ROUTER4[1], "-c", "10", "-i", "0.05")
    checks.expect("the router's own address answers, once", received == sent and not twice, f"{received}, {twice} twice")
    text = lab.host(1, sys.executable, "-c", "import socket; s=socket.socket(); s.settimeout(1)\n"
                    f"try: s.connect(('{ROUTER4[1]}', 9))\nexcept OSError as e: print(type(e).__name__)", check=False)
    checks.expect("the kernel does not answer for the router's address (one RST, the line card's own)",
                  "Refused" in text or "imeout" in text, text)

    def graceful() -> None:
        active.control("switchover", "--reason", "test", timeout=10)
    stream(lab, checks, "graceful", graceful)
    active, standby = standby, active
    pair.wait_redundant()
    view = lab.fib(active.side)
    checks.expect(f"the gate was opened in {1e6 * view['lastGateSwitch']:.0f} µs, at most 1 ms",
                  view["isGateOpen"] and view["lastGateSwitch"] <= 0.001, view)
    checks.expect("and closed on the other", not lab.fib(standby.side)["isGateOpen"])

    stream(lab, checks, "kill", lambda: os.kill(active.process.pid, signal.SIGKILL))
    gate = f"lockstep-lab-{active.side}"
    time.sleep(1)
    listed = run("ip", "netns", "exec", active.namespace, "nft", "list", "set", "netdev", gate, "open", check=False)
    checks.expect("the gate of the dead closes by itself", listed and "elements" not in listed, listed)
    devices = run("ip", "-n", active.namespace, "link")
    active.start()
    pair.wait_redundant()
    view = lab.wait_routes(active.side)
    checks.expect("the daemon that comes back keeps devices and routes", all(
        d["device"] in devices for d in view["devices"]) and view["messages"] < 10, view)
    active, standby = standby, active

    run("ip", "netns", "exec", active.namespace, "ip", "route", "del", STATIC4, "proto", "76")
    run("ip", "netns", "exec", active.namespace, "ip", "-6", "route", "del", STATIC6, "proto", "76")
    time.sleep(0.5)
    checks.expect("routes that somebody removes come back", lab.ping("198.51.100.1", "-c", "3", "-i", "0.05")[1] == 3
                  and lab.ping("2001:db8:51::1", "-c", "3", "-i", "0.05")[1] == 3)
    run("ip", "netns", "exec", active.namespace, "nft", "flush", "ruleset")
    wait_until(lambda: int(lab.fib(active.side)["gateRepairs"]) > 0, 5, "the gate's tables come back")
    checks.expect("the gate's tables come back after 'nft flush ruleset'", lab.ping(PEER4[2], "-c", "3", "-i", "0.05")[1] == 3)

    before = time.monotonic()
    port = "p1-ctl-" + active.side
    run("ip", "-n", lab.fabric.lan, "link", "set", port, "down")
    twin = standby
    wait_until(lambda: is_active(twin.redundancy()), 10,
               "the healthier twin takes over", interval=0.01)
    took = time.monotonic() - before
    checks.expect(f"a service link lost on the active: the twin is active after {took * 1e3:.0f} ms", took < 1)
    run("ip", "-n", lab.fabric.lan, "link", "set", port, "up")
    checks.expect("and packets go through it", lab.ping(PEER4[2], "-c", "10", "-i", "0.05")[1] >= 9)
    pair.wait_redundant()
    for side in "ab":
        lab.wait_routes(side)
    checks_of_two_deaths(lab, checks)
    for controller in pair.controllers.values():
        controller.process.stop()
    left = "".join(run("ip", "netns", "exec", c.namespace, "sh", "-c", "ip -o link | grep macvlan; ip nexthop; nft list ruleset",
                       check=False) for c in pair.controllers.values())
    checks.expect("nothing stays in the kernel after an end in order",
                  "lockstep-lab" not in left and "proto 76" not in left, left)


def checks_of_two_deaths(lab: ForwardingLab, checks: Checks) -> None:
    """What a peer stopped to announce while nobody was there to hear it is gone as soon as it has said all, and not after
    `stale-time` (2 minutes)."""
    pair = lab.pair
    peer = lab.peer(ANNOUNCED)
    peer.ask("announce")
    for side in "ab":
        wait_until(lambda: lab.bgp_routes(side) == ANNOUNCED, 40,
                   f"the kernel of {side} has the peer's routes: {lab.bgp_routes(side)}{pair.trouble()}")
    for controller in pair.controllers.values():
        os.kill(controller.process.pid, signal.SIGKILL)
    time.sleep(0.5)
    peer.stop()
    kept = {side: lab.bgp_routes(side) for side in "ab"}
    checks.expect("two dead controllers leave a kernel that forwards on", kept == {"a": ANNOUNCED, "b": ANNOUNCED}, kept)
    lab.peer(LEFT).ask("announce")
    for controller in pair.controllers.values():
        controller.start()
    pair.wait_redundant()
    began = time.monotonic()
    try:
        for side in "ab":
            wait_until(lambda: lab.bgp_routes(side) == LEFT, 60, f"{lab.bgp_routes(side)} routes in the kernel of {side}")
        checks.line(f"and after a cold start {ANNOUNCED - LEFT} routes that are announced no longer are gone from both kernels "
                    f"({time.monotonic() - began:.0f} s)")
    except LabError as error:
        checks.line("after a cold start routes that are announced no longer go from both kernels", error)
    sent, received, _ = lab.ping(PEER4[2], "-c", "10", "-i", "0.05")
    checks.expect("and packets flow", received == sent, f"{received} of {sent}")


if __name__ == "__main__":
    sys.exit(run_checks("forwarding", sys.argv[1:], ForwardingLab, checks_of_a_pair))
