"""Cables and switches that fail: how each is broken and mended.

A port of the LAN is taken down on the switch's side, so that the controller sees its carrier go.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

from .lockstep import Controller
from .processes import say

if TYPE_CHECKING:
    from .lab import Lab


def _redundancy(lab: Lab, controller: Controller, up: bool) -> None:
    lab.topology.set_link(controller.namespace, "red0", up)


def _port(lab: Lab, controller: Controller, up: bool) -> None:
    lab.topology.set_link(lab.topology.lan, controller.port, up)


def _every_cable(lab: Lab, controller: Controller, up: bool, but_vote: bool = False) -> None:
    if lab.topology.vote and not but_vote:
        lab.topology.set_link(lab.topology.vote, f"m-ctl-{controller.side}", up)
    _port(lab, controller, up)
    _redundancy(lab, controller, up)


class Flapper:
    """Redundancy link and LAN port of one controller go down and up together, each time for 0.1 to 1 s."""

    def __init__(self, lab: Lab, controller: Controller, seconds: float, seed: int) -> None:
        self.lab, self.controller, self.seed = lab, controller, seed
        self._until = time.monotonic() + seconds
        self._random = random.Random(seed)
        self.outages: list[float] = []      # seconds
        self._thread = threading.Thread(target=self._flap, daemon=True)
        self._thread.start()

    def _flap(self) -> None:
        while time.monotonic() < self._until:
            down, up = self._random.uniform(0.1, 1), self._random.uniform(0.1, 1)
            for device in (_port, _redundancy):
                device(self.lab, self.controller, False)
            time.sleep(down)
            for device in (_port, _redundancy):
                device(self.lab, self.controller, True)
            self.outages.append(round(down, 3))
            time.sleep(up)

    def join(self) -> None:
        self._thread.join()


def fail(kind: str, active: Controller, standby: Controller, lab: Lab, seconds: float, seed: int) -> float:
    """Breaks it. Returns the wall time just before."""
    at = time.time()
    victim = standby if kind.endswith("-standby") else active
    if kind == "cut":
        _redundancy(lab, active, False)
    elif kind.startswith("unplug"):
        _port(lab, victim, False)
    elif kind.startswith("cables"):
        _every_cable(lab, victim, False)
    elif kind == "stranded":
        _every_cable(lab, victim, False, but_vote=True)
    elif kind.startswith("deaf"):
        lab.topology.set_deaf(victim.port, True)
    elif kind.startswith("mute"):
        lab.topology.set_mute(victim.port, True)
    elif kind == "switch":
        lab.topology.set_link(lab.topology.lan, "br0", False)
    elif kind == "flaps":
        lab.flapper = Flapper(lab, active, seconds, seed)
    return at


def mend(kind: str | None, lab: Lab) -> float:
    """Ends what `fail` began. Returns the wall time just after."""
    if lab.flapper:
        lab.flapper.join()
        outages = ", ".join(f"{1000 * seconds:.0f}" for seconds in lab.flapper.outages)
        say(f"{len(lab.flapper.outages)} outages of {outages} ms, seed {lab.flapper.seed}")
        lab.flapper = None
    controllers = lab.pair.controllers.values()
    for controller in controllers:
        if kind is None or kind.startswith("deaf"):
            lab.topology.set_deaf(controller.port, False)
        if kind is None or kind.startswith("mute"):
            lab.topology.set_mute(controller.port, False)
    if kind in (None, "switch"):
        lab.topology.set_link(lab.topology.lan, "br0", True)
    for controller in controllers:
        if kind is None or kind == "stranded" or kind.startswith("cables"):
            _every_cable(lab, controller, True)
        if kind is None or kind.startswith("unplug"):
            _port(lab, controller, True)
        if kind in (None, "cut"):
            _redundancy(lab, controller, True)
    return time.time()


def mend_all(lab: Lab) -> None:
    """After a window that did not run to its end."""
    mend(None, lab)
