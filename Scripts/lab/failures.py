"""The ways in which things are made to fail, and what is measured around each. What must hold: kinds.py.

One window: look at the peers, start the capture, let it run for a moment, make the failure, watch, bring back
what failed, wait until the router is redundant again, stop the capture, look again. A failure has passed when
no session was lost, nothing forbidden was on the wire, never two controllers spoke as the router, the one that
had to be the router is it, and the table at the sink is exactly what the loader announced.
"""

import json
import os
import shutil
import signal
import time
from dataclasses import dataclass, field

from . import cables, judge
from .blaster import Blaster
from .kinds import ALL, CABLES, IMPOSTORS
from .lab import Lab
from .lockstep import POISON_PREFIX, Controller, Pair, StandIn, describe
from .processes import Answer, LabError, Stalls, peak_memory, say, wait_until
from .votes import OTHER_PAIR, Vote, write_key
from .witness import Testimony

WHAT = {name: kind.what for name, kind in ALL.items()}
# Milliseconds that must not be exceeded by the 99th percentile (the project's figures to reach).
LIMITS = {"graceful": ("longest silence", 50), "kill": ("first frame", 50), "freeze": ("first frame", 200)}

_BASELINE = 0.5          # capture before the failure
_SHORTEST_REIGN = 0.02   # nobody loses the router and gets it back sooner than that, unless there are two


@dataclass
class Outcome:
    kind: str
    number: int = 0
    problems: list[str] = field(default_factory=list)
    sessions: int = 0
    sessions_lost: int = 0
    first_frame_ms: float | None = None
    baseline_silence_ms: float | None = None    # longest, before anything happened: what this machine does by itself
    silence_ms: float | None = None         # longest, around the switchover
    rejoin_silence_ms: float | None = None  # longest, while the other controller came back
    whole_silence_ms: float | None = None   # longest of both, also across the moment between
    tcp_silence_ms: dict[str, float | None] = field(default_factory=dict)    # first TCP frame to each peer
    update_gap_ms: float | None = None      # longest pause between updates at the sink
    update_latency_max_ms: float | None = None
    redundant_after_s: float | None = None
    unready_before: float | None = None     # seconds for which the pair was not redundant before the failure was made
    bulk_update_s: float | None = None      # as the controller itself says
    engine_pause_ms: float | None = None    # longest, during the bulk update, as the controller itself says
    takeover_ms: float | None = None        # the same of the switchover
    disturbances: dict[str, int] = field(default_factory=dict)
    stale_frames: int = 0
    # (port, seconds from the failure to its first frame, to its last, frames)
    reigns: list[tuple[str, float, float, int]] = field(default_factory=list)
    sessions_back_s: float | None = None    # until all sessions were up again, where they could not be kept
    stall_ms: float | None = None           # for how long the machine did not let somebody run who was due
    cpu_waiting: float | None = None        # share of the time in which somebody waited for a processor
    seed: int | None = None                 # of what is random in the failure
    notes: list[str] = field(default_factory=list)
    from_side: str = ""
    to_side: str = ""
    verdict: judge.Verdict = field(default_factory=judge.Verdict)
    incidents: list[tuple[float, str]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems

    def record(self) -> Answer:
        """For the JSON file."""
        value = {name: getattr(self, name) for name in (
            "kind", "number", "problems", "sessions", "sessions_lost", "first_frame_ms", "baseline_silence_ms", "silence_ms",
            "rejoin_silence_ms", "whole_silence_ms", "tcp_silence_ms", "update_gap_ms", "update_latency_max_ms",
            "redundant_after_s", "unready_before", "bulk_update_s", "engine_pause_ms", "takeover_ms", "disturbances",
            "stale_frames", "reigns", "sessions_back_s", "stall_ms", "cpu_waiting", "seed", "notes", "from_side", "to_side")}
        value["passed"] = self.passed
        return value


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def prepare(kind: str, standby: Controller, pair: Pair) -> None:
    """What has to happen before the failure itself."""
    if kind == "datastore":
        standby.process.kill()
        standby.forget()
        say(f"controller {standby.side} is killed, its datastore removed, and started again")
        standby.start()
        pair.wait_redundant()


def strike(kind: str, active: Controller, standby: Controller, lab: Lab, seed: int = 0) -> float:
    """Makes the failure. Returns the wall time just before it."""
    if kind in CABLES:
        return cables.fail(kind, active, standby, lab, ALL[kind].lasts, seed)
    if kind in IMPOSTORS:
        return _begin_impostor(kind, active, standby, lab.pair)
    if kind == "vote-down":
        return _vote(lab.pair).kill()
    if kind == "poison":
        at = time.time()
        lab.blasters["loader4"].ask(f"inject {POISON_PREFIX}")
        return at
    if kind == "hostile":
        at = time.time()
        memory = [peak_memory(p.pid) for p in lab.pair.processes()]
        sent = lab.attack(seed=1 + int(at))
        grown = [after - before for after, before in zip([peak_memory(p.pid) for p in lab.pair.processes()], memory)]
        say("sent: " + ", ".join(f"{n:,} {what}" for what, n in sent.items())
            + "; memory grew by " + " and ".join(f"{g / 1e6:.1f} MB" for g in grown))
        if max(grown, default=0) > 100e6:
            raise LabError("the attack made a controller grow by more than 100 MB")
        return at
    return strike_controller(kind, active, standby)


def strike_controller(kind: str, active: Controller, standby: Controller) -> float:
    """The failures for which the controllers alone are needed. Returns the wall time just before."""
    if kind == "power":
        at = time.time()
        for process in (active.process, standby.process):
            process.popen.kill()
        return at
    if kind == "graceful":
        at = time.time()
        active.control("switchover", timeout=15)
        return at
    if kind in ("kill", "datastore"):
        return active.process.signal(signal.SIGKILL)
    if kind == "freeze":
        return active.process.signal(signal.SIGSTOP)
    if kind == "crash":
        return active.process.signal(signal.SIGSEGV)
    if kind in ("hang", "trap"):
        at = time.time()
        # The one that is asked may never answer.
        active.control("test", f"{kind}-engine", timeout=10, check=False)
        return at
    if kind == "standby":
        return standby.process.signal(signal.SIGKILL)
    raise LabError(f"unknown kind of failure {kind}")


def _vote(pair: Pair) -> Vote:
    if pair.vote is None:
        raise LabError("this pair has no third vote")
    return pair.vote


def _begin_impostor(kind: str, active: Controller, standby: Controller, pair: Pair) -> float:
    """The standby ends, and in its place comes a controller that does not belong to the pair."""
    at = time.time()
    standby.process.stop()
    if kind == "wrong-key":
        wrong = pair.impostor(standby.side, key=write_key(os.path.join(pair.folder, "wrong.key")))
    elif kind == "wrong-pair":
        wrong = pair.impostor(standby.side, pair=OTHER_PAIR)
    else:
        wrong = pair.impostor(standby.side, side=active.side)
    wrong.start()
    return at


def _end_impostor(pair: Pair, notes: list[str]) -> None:
    wrong = pair.impostor_now
    if not wrong:
        return
    pair.impostor_now = None
    said = describe(wrong.redundancy()) if wrong.alive else f"has ended with {wrong.process.popen.poll()}"
    notes.append(f"the one that does not belong there: {said}; {wrong.process.tail(1)}")
    wrong.process.stop()
    say(f"the controller that does not belong there {said}; it is ended")


def bring_back(kind: str, pair: Pair, active: Controller, lab: Lab, notes: list[str] | None = None) -> float:
    """After the failure: whatever died is started again, whatever was frozen wakes. Returns when it was over."""
    at = time.time()
    if kind in CABLES:
        at = cables.mend(kind, lab)
        say("mended")
    if kind in IMPOSTORS:
        _end_impostor(pair, [] if notes is None else notes)
    if kind == "vote-down":
        vote = _vote(pair)
        vote.start()
        vote.wait_ready()
        say("the vote is started again")
    bring_back_controllers(kind, pair, active)
    return at


def bring_back_controllers(kind: str, pair: Pair, active: Controller) -> None:
    """Whoever was frozen wakes, whoever is dead is started again."""
    if kind == "freeze":
        active.process.signal(signal.SIGCONT)
        say(f"controller {active.side} wakes up (SIGCONT)")
    for side in pair.sides:
        controller = pair.controllers[side]
        if kind == "hang" and controller is active:
            # Its own watchdog ends it.
            try:
                wait_until(lambda: not controller.alive, 5, "", interval=0.05)
            except LabError:
                continue
        if not controller.alive:
            controller.process.popen.wait()
            controller.start()
            say(f"controller {side} is started again")


def _configurations(pair: Pair) -> dict[str, str]:
    """{side: text} of what is in force on each."""
    found = {}
    for side in pair.sides:
        try:
            found[side] = pair.controllers[side].configuration()
        except LabError as error:
            found[side] = str(error)
    return found


def _read_controller(outcome: Outcome, redundancy: Answer) -> None:
    bulk = redundancy.get("lastBulkUpdate")
    if bulk and outcome.kind != "graceful":
        outcome.bulk_update_s = bulk["duration"]
        outcome.engine_pause_ms = _milliseconds(bulk["longestEnginePause"])
    switchover = redundancy.get("lastSwitchover")
    if switchover and outcome.kind != "standby":
        outcome.takeover_ms = _milliseconds(switchover["duration"])


def _poisoned(lab: Lab, text: str) -> bool:
    """Whether an incident belongs to the one session that a poisonous prefix may cost."""
    return f"({lab.addresses['loader'][0]})" in text


def make_failure(lab: Lab, kind: str, number: int = 0, churn: tuple[int, int] = (1000, 5000),
                 prefixes_timeout: float = 30) -> Outcome:
    """Runs one window and returns its Outcome."""
    pair = lab.pair
    outcome = Outcome(kind, number, seed=number if kind == "flaps" else None)
    active, _ = pair.wait_redundant()
    lab.churn(*churn)
    before = lab.look()
    configured = _configurations(pair)
    for name in ("sink4", "sink6"):
        lab.blasters[name].ask("mark")
    lab.start_capture()
    time.sleep(_BASELINE)

    # On a busy machine the pair may have lost step by itself since it was asked. A failure then would be a
    # double one, which is not what is measured here; but it is counted and reported.
    first_asked = active
    active, waited = pair.wait_redundant()
    if active is not first_asked or waited > 0.5:
        outcome.unready_before = round(waited, 3)
        say(f"redundancy was lost before anything was done to the pair; active is {active.side} after {waited:.2f} s")
    standby = pair.other(active)
    prepare(kind, standby, pair)
    outcome.from_side = active.side
    stalls = Stalls()
    struck = strike(kind, active, standby, lab, number)
    say(f"{WHAT[kind]} (active is {active.side})")
    time.sleep(max(0, ALL[kind].lasts - (time.time() - struck)))
    back = time.time()
    try:
        back = bring_back(kind, pair, active, lab, outcome.notes)
        new_active, took = pair.wait_redundant()
        outcome.to_side = new_active.side
        outcome.redundant_after_s = round(time.time() - struck, 3)
        say(f"redundant again, active is {new_active.side}; {took:.2f} s after that")
        _read_controller(outcome, new_active.redundancy() or {})
    except LabError as error:
        outcome.problems.append(str(error))
    time.sleep(0.5)
    outcome.stall_ms, outcome.cpu_waiting = _milliseconds(stalls.end()), stalls.waiting
    sink = lab.blasters["sink4"].status()
    told = lab.read_capture()

    _read_wire(outcome, told, kind, lab, struck, back, active)
    outcome.update_gap_ms = _milliseconds(sink["longest_gap"])
    outcome.update_latency_max_ms = _milliseconds(sink["latency_max"])
    if sink["malformed"]:
        outcome.problems.append(f"the sink saw {sink['malformed']} malformed messages: {sink['events'][-1:]}")
    if kind == "poison":
        _live_with_poison(lab, outcome)
    _compare_peers(outcome, before, lab, kind)
    then = "same" if pair.alone else ALL[kind].then
    if then == "twin" and outcome.to_side == outcome.from_side:
        outcome.problems.append(f"no switchover: {outcome.from_side} is still active")
    if then == "same" and outcome.to_side and outcome.to_side != outcome.from_side:
        outcome.problems.append("the active changed although nothing had happened to it that the twin could mend")
    for side, text in _configurations(pair).items():
        if text != configured[side]:
            first = [lines.splitlines()[:1] for lines in (configured[side], text)]
            outcome.problems.append(f"the configuration of {side} was {first[0]} and is {first[1]}")

    if outcome.sessions_lost:
        # The next failure must find them all up.
        try:
            lab.wait_sessions_back(120)
            outcome.sessions_back_s = round(time.time() - back, 1)
        except LabError as error:
            outcome.problems.append(str(error))
    outcome.problems += lab.settle()
    missing = lab.wait_prefixes(prefixes_timeout)
    outcome.problems += [f"{peer} has {count} prefixes from {address}" for (peer, address), count in missing.items()]
    _report(outcome)
    return outcome


def recover(lab: Lab) -> None:
    """Both controllers are started anew after a failure that the pair did not survive."""
    say("starting both controllers anew")
    cables.mend_all(lab)
    pair = lab.pair
    pair.stop()
    pair.start()
    pair.wait_redundant()
    lab.wait_sessions_back(120)
    missing = lab.wait_prefixes(120)
    if missing:
        raise LabError(f"the table did not come back: {missing}")
    lab.settle()


def keep_evidence(lab: Lab, outcome: Outcome, folder: str) -> None:
    """Copies what a failed window left behind."""
    target = os.path.join(folder, f"{outcome.kind}-{outcome.number}")
    os.makedirs(target, exist_ok=True)
    paths = [os.path.join(lab.folder, "window.pcap")]
    pair = lab.pair
    for part in [pair.folder] + ([pair.vote.folder] if pair.vote else []):
        paths += [os.path.join(part, name) for name in os.listdir(part) if name.endswith((".log", ".yaml"))]
    paths += [os.path.join(daemon.folder, name) for daemon in lab.peers.values() for name in os.listdir(daemon.folder)
              if name.endswith(".log")]
    for path in paths:
        if os.path.exists(path):
            shutil.copy(path, target)
    with open(os.path.join(target, "outcome.json"), "w") as file:
        json.dump(dict(outcome.record(), incidents=outcome.incidents), file, indent=1)
    with open(os.path.join(target, "blasters.json"), "w") as file:
        json.dump({name: _told_by(blaster) for name, blaster in lab.blasters.items()}, file, indent=1)
    say(f"evidence in {target}")


def _told_by(blaster: Blaster) -> object:
    """What a peer of ours saw and did, as far as it still answers."""
    try:
        return blaster.status()
    except LabError as error:
        return str(error)


def _live_with_poison(lab: Lab, outcome: Outcome) -> None:
    """The loader has the poison in its table and says it again with its session; nobody may die of it a second time."""
    loader, pair = lab.blasters["loader4"], lab.pair
    processes = [process.pid for process in pair.processes()]
    try:
        _wait_loader(loader)
        established = loader.status()["established_count"]
        time.sleep(_POISON_STAYS)
        if [process.pid for process in pair.processes()] != processes:
            outcome.problems.append("a controller died when the poison was said again")
        if loader.status()["established_count"] != established or loader.status()["state"] != "established":
            outcome.problems.append("the session of the poison did not stay up when it was said again")
        loader.ask(f"retract {POISON_PREFIX}")
        # What is remembered is forgotten, so that the next window begins like the first.
        active, _ = pair.wait_redundant()
        active.control("clear", "bgp", lab.addresses["loader"][0])
        wait_until(lambda: loader.status()["established_count"] > established, 30, "the session is reset")
        _wait_loader(loader)
    except LabError as error:
        outcome.problems.append(str(error))


# Seconds with the poison in the table after the session is back.
_POISON_STAYS = 2.0


def _wait_loader(loader: Blaster) -> None:
    wait_until(lambda: loader.status()["state"] == "established", 30, "the poisoned session comes up again")
    wait_until(lambda: loader.status()["queued_bytes"] == 0, 30, "the loader announces its table again")


def _read_wire(outcome: Outcome, told: Testimony, kind: str, lab: Lab, struck: float, back: float, active: Controller) -> None:
    port = active.port
    new_port = next(c.port for c in lab.pair.controllers.values() if c is not active)
    then = "same" if lab.pair.alone else ALL[kind].then
    if told.frames_lost:
        outcome.problems.append(f"the capture lost {told.frames_lost} frames: it proves nothing")
    if not told.from_router:
        outcome.problems.append("not one frame from the virtual MAC in the whole window")
        return
    if kind.startswith("mute"):
        told.mute(port if kind == "mute" else new_port, struck, back)
    reigns = told.reigns()
    outcome.reigns = [(reign.port, round(reign.first - struck, 4), round(reign.last - struck, 4), reign.frames)
                      for reign in reigns[:50]]
    if then == "same":
        others = told.frames_between(new_port, told.began, told.ended)
        if others:
            outcome.problems.append(f"{others} frames of the standby as the router")
    else:
        outcome.first_frame_ms = _milliseconds(told.first_frame_after(struck, new_port))
    if then == "twin":
        if outcome.first_frame_ms is None:
            outcome.problems.append("the other controller never spoke as the router")
        else:
            spoke = struck + outcome.first_frame_ms / 1000
            # A graceful switchover hands over in order; nobody may speak under the old epoch in any kind.
            outcome.stale_frames = told.frames_between(port, spoke, told.ended)
            if outcome.stale_frames:
                outcome.problems.append(f"{outcome.stale_frames} frames of the old active after the new one spoke")
            if spoke > back:
                outcome.problems.append("the twin took over only after what had failed was mended")
    if then == "either":
        short = [reign for before, reign, after in zip(reigns, reigns[1:], reigns[2:]) if max(
            reign.last - reign.first, reign.first - before.last, after.first - reign.last) < _SHORTEST_REIGN]
        if short:
            outcome.stale_frames = sum(reign.frames for reign in short)
            outcome.problems.append(
                f"two masters: {len(short)} times a controller spoke for less than {1000 * _SHORTEST_REIGN:.0f} ms"
                f" between frames of the other, first at {short[0].first - struck:+.4f} s")
    outcome.baseline_silence_ms = _milliseconds(told.longest_silence(told.from_router[0][0], struck)[0])
    outcome.silence_ms = _milliseconds(told.longest_silence(struck - 0.05, back)[0])
    outcome.rejoin_silence_ms = _milliseconds(told.longest_silence(back, told.ended - 0.15)[0])
    outcome.whole_silence_ms = _milliseconds(told.longest_silence(struck - 0.05, told.ended - 0.15)[0])
    outcome.tcp_silence_ms = {lab.peer_of(peer) + ("/6" if ":" in peer else "/4"): _milliseconds(seconds)
                              for peer, seconds in told.first_tcp_after(struck).items()}
    incidents = told.incidents
    if kind == "poison":
        incidents = [i for i in incidents if not _poisoned(lab, i[1])]
        outcome.disturbances = {}
        for _, text in incidents:
            name = text.split(" (")[0]
            outcome.disturbances[name] = outcome.disturbances.get(name, 0) + 1
    elif kind == "hostile":
        incidents = []      # the attacker forges the peers' addresses: the wire says nothing here, the peers do
    else:
        outcome.disturbances = told.disturbances()
    outcome.incidents = [(round(at - struck, 4), text) for at, text in incidents]
    if outcome.disturbances and not (ALL[kind].may_lose or lab.pair.alone):
        first = f"; first {outcome.incidents[0][1]} at {outcome.incidents[0][0]:+} s" if outcome.incidents else ""
        outcome.problems.append("on the wire: " + ", ".join(f"{n} × {name}" for name, n in outcome.disturbances.items())
                                + first)
    if told.bad_checksums:
        outcome.problems.append(f"{told.bad_checksums} TCP segments of the router with a wrong checksum")
    if told.stamps_backwards:
        outcome.problems.append(f"{told.stamps_backwards} TCP timestamps went backwards")


def _compare_peers(outcome: Outcome, before: dict[str, judge.PeerView], lab: Lab, kind: str) -> None:
    outcome.verdict = judge.compare(before, lab.look())
    if ALL[kind].may_lose or lab.pair.alone:
        # A peer that waits notices when its hold time is over.
        deadline = time.monotonic() + lab.hold + 5
        while len(outcome.verdict.lost) < len(outcome.verdict.findings) and time.monotonic() < deadline:
            time.sleep(0.5)
            outcome.verdict = judge.compare(before, lab.look())
    outcome.sessions = len(outcome.verdict.findings)
    lost = [f for f in outcome.verdict.lost if not (kind == "poison" and f.peer == "loader4")]
    outcome.sessions_lost = len(lost)
    if ALL[kind].may_lose:
        if len(lost) < outcome.sessions:
            outcome.problems.append(f"only {len(lost)} of {outcome.sessions} sessions were seen to be lost: THE JUDGE IS BLIND")
        return
    if lab.pair.alone:
        # What it loses is what is asked here.
        return
    outcome.problems += [f"{f.peer} noticed: its session with {f.session} {f.why}" for f in lost]
    if kind == "poison" and len(lost) == len(outcome.verdict.lost):
        outcome.problems.append("the session that sent the poison was not reset")


def _report(outcome: Outcome) -> None:
    figures = []
    if outcome.first_frame_ms is not None:
        figures.append(f"first frame after {outcome.first_frame_ms:.1f} ms")
    if outcome.silence_ms is not None:
        figures.append(f"longest silence {outcome.silence_ms:.1f} ms")
    if outcome.update_gap_ms is not None:
        figures.append(f"longest pause between updates {outcome.update_gap_ms:.0f} ms")
    slow = ""
    if outcome.kind in LIMITS:
        name, limit = LIMITS[outcome.kind]
        value = {"first frame": outcome.first_frame_ms, "longest silence": outcome.silence_ms}[name]
        if value is not None and value > limit:
            slow = f"; above the {limit} ms to reach"
    say(f"{outcome.kind}: {outcome.sessions - outcome.sessions_lost} of {outcome.sessions} sessions survived; "
        + ", ".join(figures) + slow)
    for problem in outcome.problems:
        say(f"  PROBLEM {problem}")


def make_control(lab: Lab, hold: int) -> Outcome:
    """The script proves itself: without redundancy every peer must notice. Returns an Outcome whose problems
    are the peers that did not."""
    router = lab.router
    outcome = Outcome("control")
    active: Controller | StandIn = router.wait_active()
    if isinstance(router, Pair) and isinstance(active, Controller) and not router.alone:
        standby = router.other(active)
        standby.process.kill()
        say(f"control run: controller {standby.side} is ended and stays so")
        time.sleep(1.0)
    lab.churn(200, 1000)
    before = lab.look()
    lab.start_capture("control")
    time.sleep(_BASELINE)
    struck = active.process.signal(signal.SIGKILL)
    say(WHAT["control"])
    active.process.popen.wait()
    time.sleep(1.0)
    active.start()

    def unaware() -> list[str]:
        verdict = judge.compare(before, lab.look())
        outcome.verdict = verdict
        aware = {f.peer for f in verdict.lost}
        return [name for name in before if name not in aware]
    deadline = time.monotonic() + hold + 15
    while unaware() and time.monotonic() < deadline:
        time.sleep(0.5)
    told = lab.read_capture()
    outcome.sessions = len(outcome.verdict.findings)
    outcome.sessions_lost = len(outcome.verdict.lost)
    outcome.silence_ms = _milliseconds(told.longest_silence(struck - 0.05)[0])
    outcome.disturbances = told.disturbances()
    outcome.problems = [f"{name} did not notice the death of the only controller" for name in unaware()]
    if not outcome.disturbances:
        outcome.problems.append("the capture shows no SYN, FIN, RST, OPEN or NOTIFICATION although sessions broke")
    say(f"control: {outcome.sessions_lost} of {outcome.sessions} sessions were lost, silence {outcome.silence_ms:.0f} ms,"
        f" on the wire {outcome.disturbances}: " + ("as it must be" if outcome.passed else "THE JUDGE IS BLIND"))
    for problem in outcome.problems:
        say(f"  PROBLEM {problem}")
    return outcome
