"""Scripts/demo and Scripts/lab-test: one lab, the failures asked for, a verdict. Scripts/soak: soak.py."""

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from . import failures, kinds, processes, routing, table
from .daemons import BIRD
from .lab import Lab
from .lockstep import Pair, StandIn, build_products
from .processes import Answer, LabError, install_signal_handlers, say
from .topology import ROUTER4, ROUTER6, ROUTER_AS
from .votes import ALONE, ARBITERS, WITH_VOTE, make_vote


def arguments(program: str, words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"Scripts/{program}",
        description="Two lockstepd, one router, real peers in namespaces; controllers fail while updates flow.")
    parser.add_argument("--quick", action="store_true", help="a small table (20,000 routes)")
    parser.add_argument("--kind", action="append", choices=kinds.OF_CONTROLLERS + kinds.OTHERS + ("control", "all"),
                        help="the failure; may be given several times (default: kill; all: every kind of a controller's"
                             " own; the others only when named)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="each kind so many times")
    parser.add_argument("--offload", choices=("on", "off"), default="on", help="veth offloads (default: on, as veth has them)")
    parser.add_argument("--keep", action="store_true", help="leave the lab running at the end, until Ctrl-C")
    parser.add_argument("--peers", default="frr,bird,gobgp,openbgpd", help="makes of peers, separated by commas")
    parser.add_argument("--hold", type=int, help="BGP hold time in seconds (default: 9 with --quick, else 30)")
    parser.add_argument("--rate", type=int, default=1000, help="changed prefixes a second while failures happen")
    parser.add_argument("--routes", help="N4,N6: size of the table instead of --quick's or the whole one")
    parser.add_argument("--arbiter", choices=ARBITERS + (ALONE,), default="leasefile",
                        help="who decides (default: leasefile); alone: one controller without a twin, to see what it loses")
    parser.add_argument("--etcd-members", type=int, choices=(1, 3), default=1, help="of the cluster of --arbiter etcd")
    parser.add_argument("--md5", action="store_true", help="TCP MD5 (RFC 2385) with the makes that can: FRR, BIRD, GoBGP")
    parser.add_argument("--no-control", action="store_true", help="leave out the control run")
    parser.add_argument("--json", metavar="FILE", help="write all results there")
    parser.add_argument("--evidence", metavar="FOLDER", help="copy capture and logs of failed windows there")
    parser.add_argument("--router", choices=("lockstep", "bird"), default="lockstep",
                        help="bird: an ordinary router in place of the pair; only the control run makes sense")
    parser.add_argument("--part", choices=("table", "routing", "all"), default="all",
                        help="table: BGP with four makes of peer and a whole table; routing: OSPF, IS-IS, RIP, BFD and BGP"
                             " with FRR and BIRD and packets through the pair (default: all)")
    parser.add_argument("--bfd", type=int, default=300, metavar="MS", help="BFD interval of the routing part, times 3")
    parser.add_argument("--programs", metavar="FOLDER", help="lockstepd and lockstepctl are there; build nothing")
    options = parser.parse_args(words)
    wrong = [kind for kind in options.kind or [] if kind in kinds.ALL and not kinds.fits(kind, options.arbiter, WITH_VOTE)]
    if wrong:
        parser.error(f"{wrong[0]} does not go with --arbiter {options.arbiter}")
    return options


def _kinds(chosen: list[str] | None) -> list[str]:
    found = []
    for kind in chosen or ["kill"]:
        found += [k for k in kinds.OF_CONTROLLERS if k not in found] if kind == "all" else [kind]
    return [k for k in found if k != "control"]


def _sizes(options: argparse.Namespace) -> tuple[int, int]:
    if options.routes:
        count4, count6 = (int(word) for word in options.routes.split(","))
        return count4, count6
    return (table.QUICK4, table.QUICK6) if options.quick else (table.FULL4, table.FULL6)


class Session:
    """One run of the script."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.kinds = _kinds(options.kind)
        self.lab: Lab
        self.hold: int
        self.outcomes: list[failures.Outcome] = []
        self.control: failures.Outcome | None = None
        self.facts: Answer = {}

    def prepare(self) -> None:
        options = self.options
        programs = ""       # only the pair has some
        if options.router == "lockstep":
            say("building the release (some minutes the first time, seconds when it is up to date)")
            programs = build_products(options.programs, witness=options.arbiter == "witness")
        count4, count6 = _sizes(options)
        hold = options.hold or (9 if max(count4, count6) <= 50_000 else 30)
        self.hold = hold
        lab = self.lab = Lab(options.peers.split(","), offload=options.offload == "on", hold=hold,
                             keep_files=options.keep, md5=options.md5)
        say(f"lab in {lab.folder}: two controllers, a LAN, {', '.join(d.make for d in lab.peers.values())}, loader, sink"
            f" (offloads {options.offload}, hold time {hold} s)")
        prepared = table.prepare(os.path.join(lab.folder, "table"), count4, count6)
        say(f"table: {prepared.count4:,} IPv4 and {prepared.count6:,} IPv6 routes ({prepared.source})")
        if "hostile" in self.kinds:
            lab.add_hostile()
        if options.router == "lockstep":
            vote = make_vote(options.arbiter, lab.topology, lab.controllers, lab.folder, programs, options.etcd_members)
            lab.router = Pair(lab.controllers, os.path.join(lab.folder, "pair"), lab.router_neighbours, programs,
                              arbiter=options.arbiter, poison="poison" in self.kinds, vote=vote,
                              alone=options.arbiter == ALONE)
        else:
            daemon = BIRD(lab.controllers["a"], os.path.join(lab.folder, "router"), ROUTER_AS, ROUTER4, ROUTER6,
                          lab.router_neighbours)
            lab.router = StandIn(daemon, lab.controllers["a"])
        lab.router.start()
        active, took = lab.router.wait_redundant()
        if lab.router.redundant:
            say(f"the pair is redundant after {took:.2f} s, active is {active.side}")
        # Not sooner: OpenBGPD waits long after a first attempt to which nobody answered.
        lab.start_peers(prepared)
        took = lab.wait_sessions(90)
        say(f"all {2 * len(lab.peers) + len(lab.blasters)} sessions are up after {took:.1f} s")
        timeout = 30 + (count4 + count6) / 5000
        sink_took, _ = lab.load_table(timeout)
        say(f"the whole table went through the router to the sink in {sink_took:.2f} s")
        missing = lab.wait_prefixes(timeout)
        if missing:
            raise LabError("not all peers took the whole table: " +
                           ", ".join(f"{peer} has {n} from {address}" for (peer, address), n in missing.items()))
        say("every peer has the whole table")
        problems = lab.settle()
        if problems:
            raise LabError("the table at the sink is not what was announced: " + "; ".join(problems))
        self.facts = {"routes4": prepared.count4, "routes6": prepared.count6, "source": prepared.source,
                      "table_to_sink_s": round(sink_took, 3), "hold": hold, "offload": options.offload,
                      "arbiter": options.arbiter, "rate": options.rate, "peers": list(lab.peers)}

    def run_one(self, kind: str, number: int, evidence: str | None = None) -> tuple[failures.Outcome, LabError | None]:
        """One window, whatever comes. The next one finds a whole router, or LabError says that there is none."""
        lab, options = self.lab, self.options
        broken = None
        churned = min(5000, max(1, lab.table.count4 // 2))
        try:
            outcome = failures.make_failure(lab, kind, number, (options.rate, churned))
        except LabError as error:
            broken = error
            outcome = failures.Outcome(kind, number, [str(error)])
            say(f"  PROBLEM {error}")
        self.outcomes.append(outcome)
        if evidence and not outcome.passed:
            failures.keep_evidence(lab, outcome, evidence)
        return outcome, broken

    def run_failures(self, after_each: Callable[[failures.Outcome], object] | None = None) -> None:
        options = self.options
        if not self.lab.router.redundant:
            return
        for round_number in range(options.repeat):
            for kind in self.kinds:
                say()
                outcome, broken = self.run_one(kind, round_number, options.evidence)
                if options.json:
                    self.write_json()
                if after_each:
                    after_each(outcome)
                if broken:
                    failures.recover(self.lab)

    def run_control(self) -> failures.Outcome:
        """The control run, and what came of it."""
        say()
        self.control = failures.make_control(self.lab, self.hold)
        return self.control

    @property
    def passed(self) -> bool:
        return all(o.passed for o in self.outcomes) and (self.control is None or self.control.passed)

    def summary(self) -> dict[str, Answer]:
        """{kind: figures over all repetitions}."""
        rows: dict[str, Answer] = {}
        for kind in dict.fromkeys(o.kind for o in self.outcomes):
            of_kind = [o for o in self.outcomes if o.kind == kind]
            rows[kind] = {"runs": len(of_kind), "failed": sum(not o.passed for o in of_kind),
                          "sessions_lost": sum(o.sessions_lost for o in of_kind)}
            for name in ("first_frame_ms", "silence_ms", "rejoin_silence_ms", "update_gap_ms", "redundant_after_s",
                         "bulk_update_s", "engine_pause_ms", "takeover_ms"):
                values = sorted(v for v in (getattr(o, name) for o in of_kind) if v is not None)
                if values:
                    rows[kind][name] = {"min": values[0], "median": statistics.median(values),
                                        "p99": values[-(-len(values) * 99 // 100) - 1], "max": values[-1]}
        return rows

    def write_json(self) -> None:
        value = {"facts": self.facts, "summary": self.summary(), "passed": self.passed,
                 "outcomes": [o.record() for o in self.outcomes],
                 "control": self.control.record() if self.control else None}
        with open(self.options.json, "w") as file:
            json.dump(value, file, indent=1)

    def print_peers(self) -> None:
        """What each peer itself says in the end."""
        print()
        print(f"{'peer':<10} {'session':<16} {'state':<12} {'up since':<13} {'flaps':>5} {'prefixes':>9}")
        for name, view in self.lab.look().items():
            for address, report in view.sessions.items():
                since = time.strftime("%H:%M:%S", time.localtime(report.up_since)) if report.up_since else "-"
                state = "Established" if view.make == "GoBGP" and report.up else report.state
                print(f"{name:<10} {address:<16} {state:<12}"
                      f" {since:<13} {'-' if report.dropped is None else report.dropped:>5} {report.prefixes:>9,}")

    def print_verdict(self) -> None:
        print()
        print(f"{'failure':<10} {'runs':>5} {'failed':>6} {'sessions lost':>13} {'first frame ms':>24} {'longest silence ms':>24}"
              f" {'redundant again s':>18}")
        print(f"{'':<10} {'':>5} {'':>6} {'':>13} {'median / p99 / max':>24} {'median / p99 / max':>24} {'median':>18}")
        def triple(figures: dict[str, float] | None) -> str:
            return " / ".join(f"{figures[n]:.1f}" for n in ("median", "p99", "max")) if figures else "-"
        for kind, row in self.summary().items():
            again = row.get("redundant_after_s")
            print(f"{kind:<10} {row['runs']:>5} {row['failed']:>6} {row['sessions_lost']:>13}"
                  f" {triple(row.get('first_frame_ms')):>24} {triple(row.get('silence_ms')):>24}"
                  f" {format(again['median'], '.2f') if again else '-':>18}")
        if self.control:
            print(f"{'control':<10} {1:>5} {int(not self.control.passed):>6} {self.control.sessions_lost:>13}"
                  f"   (redundancy off: the peers have to notice, and did{'' if self.control.passed else ' NOT all'})")
        print()
        if self.outcomes:
            forbidden: dict[str, int] = {}
            for outcome in self.outcomes:
                for name, count in outcome.disturbances.items():
                    forbidden[name] = forbidden.get(name, 0) + count
            print("on the wire during the failures: " + (", ".join(f"{n} × {name}" for name, n in forbidden.items())
                  or "no SYN, FIN, RST, OPEN or NOTIFICATION, neither from the router nor to it"))
        print("VERDICT: " + ("no peer noticed anything" if self.passed and self.outcomes else
                             "as expected" if self.passed else "FAILED"))


def demo(words: list[str], program: str = "demo") -> int:
    options = arguments(program, words)
    status = 0
    if options.part in ("table", "all"):
        status |= _table_part(options, program)
        processes.clean_up()
    if options.part in ("routing", "all"):
        if options.part == "all":
            print("\n" + "=" * 100 + "\n")
        status |= routing.demo(options, _kinds(options.kind), build_products(options.programs, options.arbiter == "witness"))
    return status


def _table_part(options: argparse.Namespace, program: str) -> int:
    session = Session(options)
    try:
        session.prepare()
        session.run_failures()
    except LabError as error:
        if options.keep:
            print(f"\n{program}: {error}", file=sys.stderr)
            _keep(session)
        raise
    if session.outcomes:
        session.print_peers()
    if not options.no_control:
        session.run_control()
    session.print_verdict()
    if options.json:
        session.write_json()
    if options.keep:
        _keep(session)
    return 0 if session.passed else 1


def _keep(session: Session) -> NoReturn:
    lab = session.lab
    print(f"\nThe lab stays until Ctrl-C. Files: {lab.folder}")
    for name, namespace in [*lab.controllers.items(), *((n, d.namespace) for n, d in lab.peers.items())]:
        print(f"  ip netns exec {namespace} ...    # {name}")
    while True:
        signal.pause()


def lab_test(words: list[str]) -> int:
    """Scripts/lab-test: a small lab, every kind once; one PASS or FAIL line for each sentence checked."""
    kind = [] if any(word.startswith("--kind") for word in words) else ["--kind", "all"]
    options = arguments("lab-test", ["--routes", "4000,500", "--hold", "9"] + kind + words)
    status = 0

    def line(sentence: str, problems: Sequence[object] = ()) -> None:
        nonlocal status
        if problems:
            status = 1
            print(f"FAIL {sentence}: {'; '.join(str(p).splitlines()[0] for p in problems)}", flush=True)
        else:
            print(f"PASS {sentence}", flush=True)

    session = Session(options)
    try:
        session.prepare()
        line("four makes of peer come up with one virtual router and take its whole table")
        session.run_failures(lambda o: line(f"no peer notices: {failures.WHAT[o.kind]}", o.problems))
    except LabError as error:
        print(error, file=sys.stderr)
        line("the lab runs to its end", [error])
        return status
    if not options.no_control:
        try:
            line("without redundancy every peer notices", session.run_control().problems)
        except LabError as error:
            line("without redundancy every peer notices", [error])
    if options.json:
        session.write_json()
    processes.clean_up()
    routing.lab_test(line, build_products(options.programs, options.arbiter == "witness"))
    return status


def main() -> NoReturn:
    install_signal_handlers()
    program, words = sys.argv[1], sys.argv[2:]
    try:
        status = demo(words) if program == "demo" else lab_test(words)
    except LabError as error:
        print(f"\n{program}: {error}", file=sys.stderr)
        status = 1
    processes.clean_up()
    sys.exit(status)


if __name__ == "__main__":
    main()
