"""The routing lab: the pair between two networks with OSPF, IS-IS, RIP, BFD and BGP at once, and packets through it.

One window: look at all adjacencies, let packets flow and a link elsewhere go up and down, make the failure, watch,
bring the dead controller back, look again. It has passed when no adjacency and no BFD session was lost and not more
packets than the limit.
"""

import argparse
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

from . import failures
from .blaster import LineProgram, build
from .fabric import BEHIND, PEER4, PEER6, PREFIX4, PREFIX6, ROUTER4, ROUTER6, VIRTUAL_MACS, Fabric, host4
from .kinds import ALL
from .lockstep import Pair
from .processes import Answer, LabError, on_exit, run, say
from .routers import KEY, ROUTER_AS, Adjacency, FullBIRD, FullFRR, Router, compare
from .topology import make_folder, require_root
from .votes import make_vote

KINDS = ("graceful", "kill", "freeze", "crash", "trap", "hang", "standby")
WHAT = failures.WHAT
# Packets of a stream of 1,000 a second that may be lost (the project's figures to reach).
PACKET_LIMITS = {"graceful": 20, "kill": 100}
_SETTLE = 0.5


def router_text(bfd: int = 300, authenticated: bool = False) -> str:
    """The router with every protocol on both networks."""
    text = "hostname: lockstep\ninterfaces:\n"
    for lan in (1, 2):
        text += (f"  - name: lan{lan}\n    mac: {VIRTUAL_MACS[lan]}\n    addresses:\n"
                 f"      - {ROUTER4[lan]}/{PREFIX4}\n      - {ROUTER6[lan]}/{PREFIX6}\n")
    text += f"""bfd:
  interval: {bfd}ms
  multiplier: 3
ospf:
  router-id: {ROUTER4[1]}
  areas:
    - id: 0
      interfaces:
"""
    key = f", authentication: {{keys: [{{id: 1, algorithm: md5, secret: {KEY[:16]}}}]}}" if authenticated else ""
    for lan in (1, 2):
        text += f"        - {{name: lan{lan}, hello: 1s, dead: 4s, bfd: true{key}}}\n"
    text += f"""ospfv3:
  router-id: {ROUTER4[1]}
  areas:
    - id: 0
      interfaces:
"""
    for lan in (1, 2):
        text += f"        - {{name: lan{lan}, hello: 1s, dead: 4s, bfd: true}}\n"
    text += """isis:
  net: 49.0001.0000.0000.0100.00
  hostname: lockstep
  interfaces:
"""
    for lan in (1, 2):
        text += f"    - {{name: lan{lan}, hello: 1s, multiplier: 4, bfd: true}}\n"
    for name in ("rip", "ripng"):
        text += f"{name}:\n  timers: {{update: 5s, timeout: 15s, garbage: 10s}}\n  interfaces:\n"
        text += "".join(f"    - name: lan{lan}\n" for lan in (1, 2))
    text += f"bgp:\n  as: {ROUTER_AS}\n  router-id: {ROUTER4[1]}\n  neighbors:\n"
    for lan in (1, 2):
        for address in (PEER4[lan], PEER6[lan]):
            text += (f"    - address: {address}\n      remote-as: {65000 + lan}\n      passive: true\n"
                     f"      import: accept-all\n      export: accept-all\n      bfd: true\n"
                     f"      timers: {{hold: 9, connect-retry: 2}}\n")
    return text + "redistribute:\n" + "".join(
        f"  - {{from: {source}, into: {target}}}\n" for source, target in (
            ("isis", "ospf"), ("rip", "ospf"), ("bgp", "ospf"), ("ospf", "isis"), ("ospf", "rip"), ("isis", "rip"),
            ("ripng", "ospfv3"), ("isis", "ospfv3"), ("bgp", "ospfv3"), ("ospfv3", "ripng"))
    ) + "testing:\n  enabled: true\n"


@dataclass
class Outcome:
    kind: str
    number: int = 0
    problems: list[str] = field(default_factory=list)
    adjacencies: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    # {stream: (sent, lost, longest silence in ms)}
    streams: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    packets_lost: int = 0
    silence_ms: float = 0.0
    flaps: int = 0
    redundant_after_s: float | None = None

    @property
    def passed(self) -> bool:
        return not self.problems


class RoutingLab:
    def __init__(self, programs: str, offload: bool = True, bfd: int = 300, authenticated: bool = False,
                 arbiter: str = "leasefile", keep_files: bool = False, forwarding: str = "kernel",
                 etcd_members: int = 1) -> None:
        require_root()
        self.folder = make_folder()
        if not keep_files:
            on_exit(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        self.fabric = Fabric(offload=offload)
        self.controllers = self.fabric.add_pair()
        self.pulse = build(self.folder, os.path.join(os.path.dirname(__file__), "pulse.c"))
        self.routers: dict[str, Router] = {}
        self.hosts: dict[int, str] = {}
        makes: tuple[tuple[str, type[Router], int], ...] = (("frr", FullFRR, 1), ("bird", FullBIRD, 2))
        for name, make, lan in makes:
            namespace, self.hosts[lan] = self.fabric.add_router(name, lan)
            self.routers[name] = make(namespace, os.path.join(self.folder, name), lan, bfd, authenticated)
        vote = make_vote(arbiter, self.fabric, self.controllers, self.folder, programs, etcd_members)
        self.pair = Pair(self.controllers, os.path.join(self.folder, "pair"), [], programs, arbiter=arbiter,
                         router=router_text(bfd, authenticated), ports={"lan1": "svc0", "lan2": "svc1"},
                         forwarding=forwarding, vote=vote)
        self.streams: dict[str, LineProgram] = {}
        self._flapping = threading.Event()
        self._flapper: threading.Thread | None = None
        self.flaps = 0

    def start(self) -> None:
        self.pair.start()
        for router in self.routers.values():
            router.start()

    # What must be up before anything is made to fail.
    WANTED = {
        "frr": ("ospf " + ROUTER4[1], "ospfv3", "isis level 1", "isis level 2", "bfd " + ROUTER4[1], "bfd " + ROUTER6[1],
                "bgp " + ROUTER4[1], "bgp " + ROUTER6[1]),
        "bird": ("ospf", "ospfv3", "bfd " + ROUTER4[2], "bfd " + ROUTER6[2], "bgp " + ROUTER4[2], "bgp " + ROUTER6[2]),
    }

    def look(self) -> dict[str, Adjacency]:
        return {f"{router} {name}": adjacency for router in self.routers for name, adjacency
                in self.routers[router].look().items()}

    def wait_adjacencies(self, timeout: float = 90) -> float:
        began = time.monotonic()
        wanted = [f"{router} {name}" for router, names in self.WANTED.items() for name in names]
        down = wanted
        while time.monotonic() - began < timeout:
            seen = self.look()
            down = [name for name in wanted if name not in seen or not seen[name].up]
            if not down:
                return time.monotonic() - began
            time.sleep(0.3)
        raise LabError("not up: " + ", ".join(down) + self.pair.trouble())

    def start_streams(self) -> None:
        """A stream of 1,000 packets a second over OSPF's routes, of 100 over those of each other protocol."""
        for protocol in BEHIND:
            # Behind BIRD there is no IS-IS: its answer comes by OSPF, the question went by IS-IS.
            interval = 1000 if protocol == "ospf" else 10_000
            self.streams[protocol] = LineProgram(
                [self.pulse, host4(2, protocol), host4(1, protocol), interval], self.hosts[2],
                os.path.join(self.folder, f"pulse-{protocol}.log"))

    def wait_streams(self, timeout: float = 40) -> None:
        """Until packets of every stream come through."""
        deadline = time.monotonic() + timeout
        while True:
            for stream in self.streams.values():
                stream.ask("mark")
            time.sleep(1)
            answers = {name: stream.ask("status") for name, stream in self.streams.items()}
            bad = [f"{name} {a['received']} of {a['sent']}" for name, a in answers.items() if a["received"] < a["sent"] * 0.98]
            if not bad:
                return
            if time.monotonic() > deadline:
                raise LabError("packets do not come through: " + ", ".join(bad) + self.pair.trouble())

    # A link elsewhere in the network, so that LSAs and LSPs change while things fail.

    def start_flapping(self, period: float = 0.4) -> None:
        self._flapping.clear()
        def flap() -> None:
            up = True
            while not self._flapping.wait(period):
                up = not up
                for router in self.routers.values():
                    run("ip", "-n", router.namespace, "link", "set", "flap0", "up" if up else "down", check=False)
                self.flaps += 1
        self._flapper = threading.Thread(target=flap, daemon=True)
        self._flapper.start()

    def stop_flapping(self) -> None:
        self._flapping.set()
        if self._flapper:
            self._flapper.join()
        for router in self.routers.values():
            run("ip", "-n", router.namespace, "link", "set", "flap0", "up", check=False)

    def routes(self) -> dict[str, set[str]]:
        """{router: {prefix}} of what each real router learnt through the pair, from its kernel."""
        found = {}
        for name, router in self.routers.items():
            text = run("ip", "-n", router.namespace, "-j", "route", "show")
            found[name] = {route["dst"] for route in json.loads(text or "[]") if "gateway" in route or "nexthops" in route}
        return found


def make_failure(lab: RoutingLab, kind: str, number: int = 0) -> Outcome:
    outcome = Outcome(kind, number)
    pair = lab.pair
    active, _ = pair.wait_redundant()
    before = lab.look()
    outcome.adjacencies = len(before)
    flaps = lab.flaps
    lab.start_flapping()
    time.sleep(_SETTLE)
    for stream in lab.streams.values():
        stream.ask("mark")
    time.sleep(_SETTLE)
    active, _ = pair.wait_redundant()
    standby = pair.other(active)
    say(f"{WHAT[kind]} (active is {active.side})")
    struck = failures.strike_controller(kind, active, standby)
    time.sleep(max(0, ALL[kind].lasts - (time.time() - struck)))
    # The window of the packets ends before the controller comes back and again after it is redundant.
    try:
        failures.bring_back_controllers(kind, pair, active)
        new_active, _ = pair.wait_redundant()
        outcome.redundant_after_s = round(time.time() - struck, 3)
        say(f"redundant again, active is {new_active.side}")
    except LabError as error:
        outcome.problems.append(str(error))
    time.sleep(1.0)
    for name, stream in lab.streams.items():
        answer = stream.ask("status")
        lost = max(0, answer["sent"] - answer["received"] - 2)      # those under way
        outcome.streams[name] = (answer["sent"], lost, round(answer["longest_silence"] * 1000, 1))
    outcome.packets_lost = outcome.streams["ospf"][1]
    outcome.silence_ms = outcome.streams["ospf"][2]
    lab.stop_flapping()
    outcome.flaps = lab.flaps - flaps
    time.sleep(1.2)
    outcome.lost = compare(before, lab.look())
    outcome.problems += [f"{name} {why}" for name, why in outcome.lost]
    limit = PACKET_LIMITS.get(kind, 100 if kind != "standby" else 20)
    if outcome.packets_lost > limit:
        outcome.problems.append(f"{outcome.packets_lost} packets lost, {limit} may be")
    say(f"{kind}: {outcome.adjacencies - len(outcome.lost)} of {outcome.adjacencies} adjacencies survived, link flaps"
        f" {outcome.flaps}, packets lost " + ", ".join(f"{name} {lost} of {sent}" for name, (sent, lost, _)
        in outcome.streams.items()) + f", longest silence {outcome.silence_ms:.0f} ms")
    for problem in outcome.problems:
        say(f"  PROBLEM {problem}")
    return outcome


def make_control(lab: RoutingLab) -> Outcome:
    """The script proves itself: without redundancy the routers must notice. Returns an Outcome whose problems are the
    routers that did not."""
    outcome = Outcome("control")
    active, _ = lab.pair.wait_redundant()
    lab.pair.other(active).process.kill()
    time.sleep(1.0)
    before = lab.look()
    outcome.adjacencies = len(before)
    say("control run: redundancy is taken away, the only controller is killed")
    active.process.signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    unaware = list(lab.routers)
    while time.monotonic() < deadline:
        outcome.lost = compare(before, lab.look())
        unaware = [name for name in lab.routers if not any(lost.startswith(name + " bfd") for lost, _ in outcome.lost)]
        if not unaware:
            break
        time.sleep(0.3)
    outcome.problems = [f"{name} did not notice the death of the only controller" for name in unaware]
    say(f"control: {len(outcome.lost)} of {outcome.adjacencies} adjacencies were lost: "
        + ("as it must be" if outcome.passed else "THE JUDGE IS BLIND"))
    return outcome


def record(outcome: Outcome) -> Answer:
    return dict(asdict(outcome), passed=outcome.passed)


def demo(options: argparse.Namespace, kinds: list[str], programs: str) -> int:
    """The routing part of Scripts/demo. Returns the exit status."""
    kinds = [kind for kind in kinds if kind in KINDS] or ["kill"]
    lab = RoutingLab(programs, offload=options.offload == "on", bfd=options.bfd, authenticated=options.md5,
                     arbiter=options.arbiter, keep_files=options.keep, etcd_members=options.etcd_members)
    say(f"routing lab in {lab.folder}: the pair between two networks; FRR (OSPF, IS-IS, RIP, BFD, BGP) on one, BIRD (OSPF,"
        f" RIP, BFD, BGP) on the other; BFD {options.bfd} ms x 3")
    lab.start()
    active, took = lab.pair.wait_redundant()
    say(f"the pair is redundant after {took:.2f} s, active is {active.side}")
    took = lab.wait_adjacencies()
    say(f"all adjacencies and BFD sessions are up after {took:.1f} s")
    lab.start_streams()
    lab.wait_streams()
    say("packets flow between the hosts behind FRR and BIRD by routes of OSPF, IS-IS, RIP and BGP")
    outcomes: list[Outcome] = []
    at_first = lab.look()
    for number in range(options.repeat):
        for kind in kinds:
            say()
            outcomes.append(make_failure(lab, kind, number))
            if options.json:
                with open(options.json + ".routing", "w") as file:
                    json.dump({"bfd_ms": options.bfd, "outcomes": [record(o) for o in outcomes]}, file, indent=1)
    _print_peers(lab, at_first)
    control = None
    if not options.no_control:
        say()
        control = make_control(lab)
    _print_verdict(outcomes)
    return 0 if all(outcome.passed for outcome in outcomes) and (control is None or control.passed) else 1


def _print_peers(lab: RoutingLab, at_first: dict[str, Adjacency]) -> None:
    """What each router itself says in the end, and how often an adjacency went down since `at_first`, when all were up."""
    print(f"\n{'router':<7} {'adjacency':<28} {'state':<12} {'went down since':>15}")
    for name, router in lab.routers.items():
        for adjacency, view in sorted(router.look().items()):
            before = at_first.get(f"{name} {adjacency}")
            flaps = "-" if view.flaps is None else view.flaps - (before.flaps or 0 if before else 0)
            print(f"{name:<7} {adjacency:<28} {view.state:<12} {flaps:>15}")


def _print_verdict(outcomes: list[Outcome]) -> None:
    print(f"\n{'failure':<10} {'runs':>5} {'failed':>6} {'adjacencies lost':>16} {'packets lost of 1,000/s':>24}"
          f" {'silence ms':>16}")
    print(f"{'':<10} {'':>5} {'':>6} {'':>16} {'median / max':>24} {'median / max':>16}")
    for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind]
        packets = sorted(outcome.packets_lost for outcome in of_kind)
        silence = sorted(outcome.silence_ms for outcome in of_kind)
        middle = len(of_kind) // 2
        print(f"{kind:<10} {len(of_kind):>5} {sum(not o.passed for o in of_kind):>6} {sum(len(o.lost) for o in of_kind):>16}"
              f" {f'{packets[middle]} / {packets[-1]}':>24} {f'{silence[middle]:.0f} / {silence[-1]:.0f}':>16}")
    print("VERDICT: " + ("no neighbour noticed anything" if all(o.passed for o in outcomes) else "FAILED"))


class Line(Protocol):
    """Prints PASS or, with problems, FAIL for one sentence."""

    def __call__(self, sentence: str, problems: Sequence[object] = ()) -> None: ...


def lab_test(line: Line, programs: str) -> None:
    """The routing part of Scripts/lab-test: `line(sentence, problems)` for each thing checked."""
    try:
        lab = RoutingLab(programs, bfd=300)
        lab.start()
        lab.pair.wait_redundant()
        lab.wait_adjacencies()
        line("FRR and BIRD form every adjacency with one virtual router: OSPF, IS-IS, RIP, BFD, BGP")
        lab.start_streams()
        lab.wait_streams()
        line("packets flow through the pair by routes of every protocol")
        for kind in KINDS:
            outcome = make_failure(lab, kind)
            line(f"no neighbour notices, packets flow on: {WHAT[kind]}", outcome.problems)
        line("without redundancy both routers notice", make_control(lab).problems)
    except LabError as error:
        line("the routing lab runs to its end", [error])
