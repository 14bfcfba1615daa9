"""The judge: what every peer says about its sessions, before and after, and what follows from it.

Routes alone prove nothing: graceful restart keeps them over a lost session. A session survived when it is
up, has been up since the same moment and its counters did not move.
"""

from dataclasses import dataclass, field

from .blaster import Blaster
from .daemons import Daemon, SessionReport
from .processes import LabError, wait_until


@dataclass
class PeerView:
    """All sessions of one peer at one moment."""
    peer: str
    make: str
    resolution: float
    sessions: dict[str, SessionReport]      # by the router's address


@dataclass
class Finding:
    peer: str
    session: str
    survived: bool
    why: str = ""
    before: SessionReport | None = None
    after: SessionReport | None = None


@dataclass
class Verdict:
    findings: list[Finding] = field(default_factory=list)

    @property
    def lost(self) -> list[Finding]:
        return [f for f in self.findings if not f.survived]


def look(peers: dict[str, Daemon], blasters: dict[str, Blaster]) -> dict[str, PeerView]:
    """Asks every peer. `peers`: {name: Daemon}; `blasters`: {name: Blaster}."""
    views = {}
    for name, daemon in peers.items():
        views[name] = PeerView(name, daemon.make, daemon.uptime_resolution, daemon.reports())
    for name, blaster in blasters.items():
        status = blaster.status()
        offset = status["wall"] - status["now"]
        up = status["state"] == "established"
        report = SessionReport(
            up=up, state=status["state"], up_since=status["established_at"] + offset if up else None,
            established=status["established_count"], dropped=status["dropped_count"],
            prefixes=status["routes4"] + status["routes6"])
        views[name] = PeerView(name, "bgpblast", 0.05, {"router": report})
    return views


def compare(before: dict[str, PeerView], after: dict[str, PeerView]) -> Verdict:
    """One finding for each session that was up before."""
    verdict = Verdict()
    for name, view in before.items():
        for session, was in view.sessions.items():
            is_now = after[name].sessions.get(session) if name in after else None
            why = _what_changed(was, is_now, view.resolution)
            verdict.findings.append(Finding(name, session, not why, why, was, is_now))
    return verdict


def _what_changed(was: SessionReport, is_now: SessionReport | None, resolution: float) -> str:
    if is_now is None:
        return "the peer no longer answers for it"
    if not was.up:
        return f"was not up before ({was.state})"
    if not is_now.up:
        return f"is down ({is_now.state})"
    for name in ("established", "dropped"):
        old, new = getattr(was, name), getattr(is_now, name)
        if old is not None and new is not None and old != new:
            return f"times {name} went from {old} to {new}"
    if was.up_since and is_now.up_since and abs(is_now.up_since - was.up_since) > resolution:
        return f"is up since {is_now.up_since - was.up_since:+.1f} s later"
    return ""


def all_up(peers: dict[str, Daemon], blasters: dict[str, Blaster], sessions_each: int) -> bool:
    """True when every session of every peer is up."""
    for daemon in peers.values():
        reports = daemon.reports()
        if len(reports) < sessions_each or not all(r.up for r in reports.values()):
            return False
    return all(b.status()["state"] == "established" for b in blasters.values())


def wait_all_up(peers: dict[str, Daemon], blasters: dict[str, Blaster], sessions_each: int, timeout: float) -> None:
    try:
        wait_until(lambda: all_up(peers, blasters, sessions_each), timeout, "all sessions up", interval=0.3)
    except LabError:
        missing = []
        for name, daemon in peers.items():
            missing += [f"{name} {address}: {r.state}" for address, r in daemon.reports().items() if not r.up]
        missing += [f"{name}: {b.status()['state']} {b.status()['events'][-2:]}" for name, b in blasters.items()
                    if b.status()["state"] != "established"]
        raise LabError(f"not all sessions came up within {timeout:g} s: " + "; ".join(missing)) from None


def prefixes_of(peers: dict[str, Daemon]) -> dict[tuple[str, str], int]:
    """{(peer, router address): accepted prefixes}."""
    return {(name, address): report.prefixes
            for name, daemon in peers.items() for address, report in daemon.reports().items()}
