"""Scripts/bench: a whole table from one peer through a router to another peer, for several routers in one run.

    loader ── LAN ── router under test ── LAN ── sink

The loader writes a table encoded beforehand, the sink checks and counts what comes; both are many times
faster than any router here (Docs/lab.md). Wall time runs from the loader's first octet to the last route at
the sink; processor time is what the router's own processes used from just before until they are idle again.
Every router gets the same table, addresses, session options and machine, one after the other. No router
writes routes to a kernel. A run counts only if the sink ends with exactly the routes that were announced.
"""

import argparse
import json
import os
import statistics
import sys
import time
from typing import Any

from . import bench_igp, processes, table
from .daemons import FRR, MAKES
from .lab import Lab
from .lockstep import Pair, StandIn, build_products
from .processes import LabError, fine_cpu_seconds, install_signal_handlers, peak_memory, say
from .topology import ROUTER4, ROUTER6, ROUTER_AS

LOCKSTEP = ("lockstep", "lockstep-pair")
# The slowest comes last.
ROUTERS = ("bird",) + LOCKSTEP + ("frr", "openbgpd", "gobgp")
YARDSTICK = "bird"
# One run's figures, by their names.
Result = dict[str, Any]


def _router(name: str, lab: Lab, programs: str) -> Pair | StandIn:
    folder = os.path.join(lab.folder, "router")
    if name in LOCKSTEP:
        return Pair(lab.controllers, folder, lab.router_neighbours, programs, alone=name == "lockstep")
    daemon = MAKES[name](lab.controllers["a"], folder, ROUTER_AS, ROUTER4, ROUTER6, lab.router_neighbours)
    if isinstance(daemon, FRR):
        daemon.uses_zebra = False
    return StandIn(daemon, lab.controllers["a"])


def _idle(pids: list[int], quiet: float = 0.7, timeout: float = 60) -> list[float]:
    """Waits until the processes use next to nothing; returns their processor time then, one by one."""
    deadline = time.monotonic() + timeout
    before = [fine_cpu_seconds(pid) for pid in pids]
    while True:
        time.sleep(quiet)
        after = [fine_cpu_seconds(pid) for pid in pids]
        # A redundant pair is never quite idle: heartbeats every 10 ms.
        if all(a - b < 0.06 * quiet for a, b in zip(after, before)) or time.monotonic() > deadline:
            return after
        before = after


def _until_complete(lab: Lab, timeout: float) -> float:
    sinks = [lab.blasters["sink4"], lab.blasters["sink6"]]
    deadline = time.monotonic() + timeout
    while True:
        # Asking costs the sink time that the router may need: ask seldom.
        time.sleep(0.25)
        seen = [sink.status() for sink in sinks]
        if all(s["complete_at"] for s in seen):
            return max(s["complete_at"] for s in seen)
        if any(s["dropped_count"] for s in seen):
            raise LabError(f"the router dropped the session with the sink: {[s['events'][-1:] for s in seen]}")
        if time.monotonic() > deadline:
            raise LabError(f"the sink has {seen[0]['routes4']:,} + {seen[1]['routes6']:,} routes after {timeout:g} s")


def _percentiles(seconds: list[float]) -> tuple[float | None, float | None]:
    ordered = sorted(seconds)
    if not ordered:
        return None, None
    return (round(ordered[len(ordered) // 2] * 1000, 4), round(ordered[len(ordered) * 99 // 100] * 1000, 4))


def _delays(lab: Lab, options: argparse.Namespace) -> Result:
    """The table is in and the router idle: how long does one change take through it, and how long until its
    segment is acknowledged? Between Lockstep alone and as a pair lies the wait for the standby."""
    lab.blasters["sink4"].ask("mark")
    lab.start_capture("delay")
    lab.churn(100, 500)
    time.sleep(options.delay)
    status = lab.blasters["sink4"].status()
    told = lab.read_capture()
    lab.settle()
    median, most = _percentiles(told.acknowledged_after)
    return {"change_median_ms": round(status["latency_median"] * 1000, 4),
            "change_p99_ms": round(status["latency_p99"] * 1000, 4),
            "acknowledged_median_ms": median, "acknowledged_p99_ms": most}


def _rejoin(lab: Lab) -> Result:
    """The standby is killed and started again with the whole table in the active."""
    pair = lab.pair
    active, _ = pair.wait_redundant()
    standby = pair.other(active)
    standby.process.kill()
    time.sleep(1.0)
    lab.blasters["sink4"].ask("mark")
    lab.churn(1000, 5000)
    began = time.monotonic()
    standby.start()
    active, _ = pair.wait_redundant()
    took = time.monotonic() - began
    gap = lab.blasters["sink4"].status()["longest_gap"]
    bulk = (active.redundancy() or {}).get("lastBulkUpdate") or {}
    problems = lab.settle()
    if problems:
        raise LabError("after the standby joined again: " + "; ".join(problems))
    pause = bulk.get("longestEnginePause")
    return {"redundant_after_s": round(took, 3), "update_pause_ms": round(gap * 1000, 1),
            "bulk_update_s": bulk.get("duration"), "engine_pause_ms": None if pause is None else pause * 1000}


def measure(name: str, options: argparse.Namespace, programs: str) -> Result:
    """One run of one router; a fresh lab, taken down afterwards."""
    lab = Lab(makes=(), offload=options.offload == "on", hold=90)
    try:
        prepared = table.prepare(os.path.join(lab.folder, "table"), *options.sizes)
        lab.router = _router(name, lab, programs)
        lab.router.start()
        lab.start_peers(prepared)
        lab.pulse.stop()
        lab.router.wait_redundant()
        lab.wait_sessions(60)
        pids = [p.pid for p in lab.router.processes()]
        before = _idle(pids)
        lab.blasters["sink4"].ask(f"expect {prepared.count4} 0")
        lab.blasters["sink6"].ask(f"expect 0 {prepared.count6}")
        for loader in ("loader4", "loader6"):
            lab.blasters[loader].ask("announce")
        complete = _until_complete(lab, options.timeout)
        first = min(lab.blasters[n].status()["first_table_byte"] for n in ("loader4", "loader6"))
        received = max(lab.blasters[n].status()["last_table_byte"] for n in ("loader4", "loader6"))
        after = _idle(pids)
        memory = [peak_memory(pid) for pid in pids]
        problems = lab.settle(timeout=5)
        if problems:
            raise LabError("the sink does not have what was announced: " + "; ".join(problems))
        delays = _delays(lab, options) if options.delay else {}
        rejoin = _rejoin(lab) if isinstance(lab.router, Pair) and not lab.router.alone else {}
        routes = prepared.count4 + prepared.count6
        cpu = [a - b for a, b in zip(after, before)]
        return {"router": name, "routes": routes, "wall_s": round(complete - first, 4),
                "input_taken_s": round(received - first, 4), "cpu_s": round(cpu[0], 4),
                "cpu_us_per_route": round(cpu[0] / routes * 1e6, 3),
                "cpu_standby_s": round(cpu[1], 4) if len(cpu) > 1 else None,
                "memory_mb": round(memory[0] / 1e6, 1),
                "memory_standby_mb": round(memory[1] / 1e6, 1) if len(memory) > 1 else None,
                "messages_to_sink": lab.blasters["sink4"].status()["updates_in"] + lab.blasters["sink6"].status()["updates_in"],
                "source": prepared.source, **delays, **rejoin}
    finally:
        processes.clean_up()


def _median(runs: list[Result]) -> Result:
    result = dict(runs[0])
    for name, value in runs[0].items():
        values = [run[name] for run in runs if isinstance(run.get(name), (int, float))]
        if isinstance(value, float) and values:
            result[name] = round(statistics.median(values), 4)
    result["runs"] = len(runs)
    return result


def _print_table(results: list[Result]) -> None:
    yardstick = next((r for r in results if r["router"] == YARDSTICK), None)
    print()
    print(f"{'router':<14} {'wall s':>8} {'CPU s':>8} {'µs/route':>9} {'memory MB':>10} {'messages':>9}"
          + (f" {'wall':>7} {'CPU':>7} {'memory':>7}  (times {YARDSTICK})" if yardstick else ""))
    for r in results:
        line = (f"{r['router']:<14} {r['wall_s']:>8.3f} {r['cpu_s']:>8.3f} {r['cpu_us_per_route']:>9.2f}"
                f" {r['memory_mb']:>10.1f} {r['messages_to_sink']:>9,}")
        if yardstick:
            ratios = [r[n] / yardstick[n] if yardstick[n] else 0 for n in ("wall_s", "cpu_s", "memory_mb")]
            r["ratio_wall"], r["ratio_cpu"], r["ratio_memory"] = (round(x, 3) for x in ratios)
            line += "".join(f" {x:>6.2f}x" for x in ratios)
        print(line)
        if r.get("cpu_standby_s") is not None:
            print(f"{'  its standby':<14} {'':>8} {r['cpu_standby_s']:>8.3f} {'':>9} {r['memory_standby_mb']:>10.1f}")
    if any("change_median_ms" in r for r in results):
        print("\none change through an idle router that holds the table, and the TCP acknowledgement of it (ms, median / p99)")
        for r in results:
            print(f"{r['router']:<14} change {r['change_median_ms']:>8.3f} / {r['change_p99_ms']:<8.3f}"
                  + ("" if r["acknowledged_median_ms"] is None else
                     f" acknowledged {r['acknowledged_median_ms']:>8.3f} / {r['acknowledged_p99_ms']:<8.3f}"))
    for r in results:
        if "redundant_after_s" in r:
            print(f"\n{r['router']}: a killed standby is ready again {r['redundant_after_s']:.2f} s after its start"
                  f" (bulk update {r['bulk_update_s']} s, longest engine pause {r['engine_pause_ms']} ms;"
                  f" longest pause between updates at the sink {r['update_pause_ms']} ms)")


def main() -> int:
    install_signal_handlers()
    parser = argparse.ArgumentParser(prog="Scripts/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--routers", default=",".join(ROUTERS), help=f"of {', '.join(ROUTERS)} (default: all)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each router; the median counts (default: 1)")
    parser.add_argument("--quick", action="store_true", help="a small table")
    parser.add_argument("--routes", help="N4,N6: size of the table (default: the whole one)")
    parser.add_argument("--offload", choices=("on", "off"), default="on")
    parser.add_argument("--timeout", type=float, default=300, help="seconds a router may take")
    parser.add_argument("--delay", type=float, default=3, metavar="SECONDS",
                        help="how long to measure the delay of single changes (default: 3; 0: not at all)")
    parser.add_argument("--igp", action="store_true",
                        help="OSPF and IS-IS instead: 1,000 routers and 5,000 links, then links that change")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--programs", metavar="FOLDER", help="lockstepd and lockstepctl are there; build nothing")
    options = parser.parse_args()
    options.sizes = ((table.QUICK4, table.QUICK6) if options.quick else (table.FULL4, table.FULL6))
    if options.routes:
        options.sizes = tuple(int(word) for word in options.routes.split(","))
    routers = options.routers.split(",")
    unknown = [name for name in routers if name not in ROUTERS]
    if unknown:
        parser.error(f"unknown router {', '.join(unknown)}; there are {', '.join(ROUTERS)}")

    status = 0
    programs = ""       # without Lockstep among the routers nobody asks for them
    try:
        if options.igp or any(name in LOCKSTEP for name in routers):
            say("building the release (quick when it is up to date)")
            programs = build_products(options.programs)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.igp:
        return bench_igp.main(options, programs)
    runs: dict[str, list[Result]] = {}
    # Round by round, not router by router: whatever else the machine does then hits all of them alike.
    for _ in range(options.repeat):
        for name in routers:
            try:
                result = measure(name, options, programs)
                runs.setdefault(name, []).append(result)
                say(f"{name}: {result['wall_s']:.3f} s, {result['cpu_s']:.3f} s of processor, {result['memory_mb']:.0f} MB")
            except LabError as error:
                say(f"{name}: no result: {error}")
                status = 1
    results = [_median(runs[name]) for name in routers if name in runs]
    if results:
        _print_table(results)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"results": results, "runs": runs}, file, indent=1)
    return status


if __name__ == "__main__":
    code = main()
    processes.clean_up()
    sys.exit(code)
