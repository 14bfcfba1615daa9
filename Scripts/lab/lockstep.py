"""The pair of controllers: their files, their processes, their command line.

The keys are those of Docs/configuration.md; nothing else of the lab knows them.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import Any

from .daemons import Daemon, Neighbour
from .processes import Answer, LabError, Process, run, say, wait_until
from .topology import LAN4, LAN6, REDUNDANCY, ROUTER4, ROUTER6, ROUTER_AS, VIRTUAL_MAC
from .votes import PAIR, Vote, write_key

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# An announcement of this prefix makes the engine trap, by the hidden configuration key.
POISON_PREFIX = "203.0.113.66/32"


def build_products(folder: str | None = None, witness: bool = False) -> str:
    """Builds the release and returns the folder of the programs. LOCKSTEP_BIN names programs built before."""
    products = ("lockstepd", "lockstepctl") + (("lockstep-witness",) if witness else ())
    ready = folder or os.environ.get("LOCKSTEP_BIN")
    if ready:
        missing = [product for product in products if not os.access(os.path.join(ready, product), os.X_OK)]
        if missing:
            raise LabError(f"{ready} has no {' and no '.join(missing)}; name the folder of a build, "
                           "such as .build/release, or none to build anew")
        return ready
    for product in products:
        _build(product)
    return run("swift", "build", "-c", "release", "--show-bin-path", "--package-path", REPOSITORY).strip()


def _build(product: str) -> None:
    """A first build takes minutes: the screen says how far it is."""
    command = ["swift", "build", "-c", "release", "--product", product, "--package-path", REPOSITORY]
    build = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    lines: list[str] = []
    told = began = time.monotonic()
    for line in build.stdout or ():
        lines = lines[-30:] + [line.rstrip()]
        if time.monotonic() - told >= _PROGRESS_INTERVAL and line.strip():
            told = time.monotonic()
            say(f"  {product}, {told - began:.0f} s: {line.strip()[:100]}")
    if build.wait() != 0:
        raise LabError(f"building {product} failed:\n" + "\n".join(lines))


# Seconds between two lines about a build.
_PROGRESS_INTERVAL = 10


def router_configuration(neighbours: list[Neighbour], poison: bool = False) -> str:
    """The router as the network sees it. `neighbours`: daemons.Neighbour as seen from the router."""
    lines = ["hostname: lockstep",
             "interfaces:",
             "  - name: lan",
             f"    mac: {VIRTUAL_MAC}",
             "    addresses:",
             f"      - {ROUTER4}/{LAN4.prefixlen}",
             f"      - {ROUTER6}/{LAN6.prefixlen}",
             "bgp:",
             f"  as: {ROUTER_AS}",
             f"  router-id: {ROUTER4}",
             "  neighbors:"]
    for n in neighbours:
        lines += [f"    - address: {n.address}",
                  f"      remote-as: {n.asn}",
                  f"      passive: {'true' if n.passive else 'false'}",
                  "      import: accept-all",
                  "      export: accept-all",
                  f"      timers: {{hold: {n.hold}, connect-retry: 2"
                  + (", idle-hold: 1, idle-hold-maximum: 1}" if n.retry_at_once else "}")]
        if n.password:
            lines.append(f"      password: {n.password}")
    lines += ["testing:", "  enabled: true"]
    if poison:
        lines.append(f"  trap-on-prefix: {POISON_PREFIX}")
    return "\n".join(lines) + "\n"


def controller_configuration(side: str, folder: str, alone: bool = False, arbiter: str = "leasefile",
                             ports: dict[str, str] | None = None, forwarding: str | None = None, vote: Vote | None = None,
                             place: str | None = None, pair: str = PAIR, key: str = "pair.key",
                             name: str | None = None) -> str:
    """One controller's own file. `ports`: {interface of the router: device}. `place`: whose address on the redundancy link
    it has, if not its own; `name`: of its files, if not its letter."""
    place, name = place or side, name or side
    lines = [f"controller: {side}",
             f"pair: {pair}",
             f"datastore: {folder}/{name}.sqlite",
             f"management: {folder}/{name}.sock",
             "interfaces:"]
    lines += [f"  {interface}: {device}" for interface, device in (ports or {"lan": "svc0"}).items()]
    lines.append("guard: check" if forwarding is None else f"forwarding: {forwarding}")
    if alone:
        lines.append("alone: true")
    else:
        lines += ["redundancy:",
                  f"  local: {REDUNDANCY[place]}",
                  f"  peer: {REDUNDANCY['b' if place == 'a' else 'a']}",
                  f"  key-file: {key}"]
        if arbiter == "leasefile":
            lines.append(f"arbiter: {{lease-file: {folder}/mastership, lease: 50ms}}")
        else:
            lines.append(vote.arbiter() if vote else "arbiter: link")
    lines.append("router: router.yaml")
    return "\n".join(lines) + "\n"


class Controller:
    """One lockstepd process and the way to ask it."""

    def __init__(self, side: str, namespace: str, folder: str, programs: str, name: str | None = None) -> None:
        name = name or side
        self.side, self.namespace, self.folder, self.programs = side, namespace, folder, programs
        self._process: Process | None = None
        self.log = os.path.join(folder, f"{name}.log")
        self.socket = os.path.join(folder, f"{name}.sock")
        self.datastore = os.path.join(folder, f"{name}.sqlite")
        self.port = f"p-ctl-{side}"
        self.config = os.path.join(folder, f"controller-{name}.yaml")

    def start(self) -> None:
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        # A missed heartbeat is a dead twin: what else this machine does must not come first (Docs/operations.md).
        self._process = Process(["nice", "-n", "-15", os.path.join(self.programs, "lockstepd"), "--config", self.config],
                                namespace=self.namespace, log=self.log, cwd=self.folder)

    @property
    def process(self) -> Process:
        """The one that was started last, whether it lives or not."""
        if self._process is None:
            raise LabError(f"controller {self.side} was never started")
        return self._process

    @property
    def was_started(self) -> bool:
        return self._process is not None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    def control(self, *words: str, timeout: float = 5, check: bool = True) -> str:
        return run(os.path.join(self.programs, "lockstepctl"), "--socket", self.socket, *words,
                   timeout=timeout, check=check)

    def show(self, *words: str, timeout: float = 5) -> Answer | None:
        """A `show` as a value; None while the daemon does not answer."""
        try:
            answer: Answer = json.loads(self.control("show", *words, "--json", timeout=timeout))
            return answer
        except (LabError, ValueError):
            return None

    def redundancy(self) -> Answer | None:
        return self.show("redundancy", timeout=2) if self.alive else None

    def configuration(self) -> str:
        """The text of the configuration that is in force here; its first line names the revision."""
        return self.control("config", "show", timeout=5)

    def forget(self) -> None:
        """Removes its datastore and what it knows of the pair. Only while it does not run."""
        for name in os.listdir(self.folder):
            if name.startswith(os.path.basename(self.datastore)):
                os.unlink(os.path.join(self.folder, name))


def is_active(redundancy: Answer | None) -> bool:
    """Whether the answer to `show redundancy --json` is that of a controller that speaks as the router."""
    return bool(redundancy and redundancy["local"]["state"] in ("active", "active-alone"))


def is_redundant(redundancy: Answer | None) -> bool:
    """Whether the twin could take over now without losing a session."""
    return bool(redundancy and redundancy["isReady"] and not redundancy["notReady"])


def describe(redundancy: Answer | None) -> str:
    if not redundancy:
        return "does not answer"
    why = "; ".join(redundancy["notReady"] + redundancy.get("alarms", []))
    return f"{redundancy['local']['state']}, epoch {redundancy['epoch']}" + (f", not ready: {why}" if why else "")


class Pair:
    """Both controllers as one router under test."""

    name = "lockstep"
    redundant = True

    def __init__(self, namespaces: dict[str, str], folder: str, neighbours: list[Neighbour], programs: str,
                 arbiter: str = "leasefile", poison: bool = False, alone: bool = False, router: str | None = None,
                 ports: dict[str, str] | None = None, forwarding: str | None = None, vote: Vote | None = None) -> None:
        """`router`: the text of the router's configuration in place of one with BGP neighbours only."""
        os.makedirs(folder, exist_ok=True)
        self.folder, self.alone = folder, alone
        self.controllers = {side: Controller(side, namespaces[side], folder, programs) for side in "ab"}
        self.arbiter, self.vote, self.programs = arbiter, vote, programs
        self._ports, self._forwarding = ports, forwarding
        self.impostor_now: Controller | None = None
        with open(os.path.join(folder, "router.yaml"), "w") as file:
            file.write(router or router_configuration(neighbours, poison=poison))
        write_key(os.path.join(folder, "pair.key"))
        for side, controller in self.controllers.items():
            self._write(controller, alone=alone)

    def _write(self, controller: Controller, **different: Any) -> None:
        with open(controller.config, "w") as file:
            file.write(controller_configuration(controller.side, self.folder, arbiter=self.arbiter, vote=self.vote,
                                                ports=self._ports, forwarding=self._forwarding, **different))

    def impostor(self, place: str, side: str | None = None, **different: Any) -> Controller:
        """A controller in the place of the one that is not there, with the letter `side` and what else is `different`."""
        honest = self.controllers[place]
        wrong = Controller(side or place, honest.namespace, self.folder, self.programs, name="wrong")
        wrong.port = honest.port
        wrong.forget()
        self._write(wrong, place=place, name="wrong", **different)
        self.impostor_now = wrong
        return wrong

    @property
    def sides(self) -> list[str]:
        return ["a"] if self.alone else ["a", "b"]

    def start(self) -> None:
        if self.vote and not self.vote.alive:
            self.vote.stop()
            self.vote.start()
            self.vote.wait_ready()
        for side in self.sides:
            self.controllers[side].start()

    def stop(self) -> None:
        for controller in [*self.controllers.values(), *([self.impostor_now] if self.impostor_now else [])]:
            if controller.was_started:
                controller.process.stop()

    def active(self) -> Controller | None:
        """The controller that says it is active, or None."""
        for side in self.sides:
            if is_active(self.controllers[side].redundancy()):
                return self.controllers[side]
        return None

    def other(self, controller: Controller) -> Controller:
        return self.controllers["b" if controller.side == "a" else "a"]

    def wait_active(self, timeout: float = 20) -> Controller:
        return wait_until(self.active, timeout, "a controller becomes active" + self.trouble(), interval=0.05)

    def wait_redundant(self, timeout: float = 60) -> tuple[Controller, float]:
        """Until both controllers live and the active says that the router is redundant. Returns the active."""
        def ready() -> Controller | None:
            dead = [side for side in self.sides if not self.controllers[side].alive]
            if dead:
                raise LabError(f"controller {dead[0]} has ended:\n{self.controllers[dead[0]].process.tail(15)}")
            # Both are asked: one that has just woken up or lost its twin may for a moment hold on to an old truth.
            views = {side: self.controllers[side].redundancy() for side in self.sides}
            active = [side for side in self.sides if is_active(views[side])]
            if len(active) != 1:
                return None
            if not self.alone:
                twin = views["b" if active[0] == "a" else "a"]
                if not is_redundant(views[active[0]]) or not twin or twin["local"]["state"] != "standby":
                    return None
            return self.controllers[active[0]]
        began = time.monotonic()
        try:
            active = wait_until(ready, timeout, "the pair becomes redundant", interval=0.05)
        except LabError as error:
            raise LabError(str(error) + self.trouble()) from None
        return active, time.monotonic() - began

    def trouble(self) -> str:
        text = ""
        for side in self.sides:
            controller = self.controllers[side]
            if controller.was_started:
                text += f"\n--- controller {side}: {describe(controller.redundancy())}\n{controller.process.tail(6)}"
        return text

    def processes(self) -> list[Process]:
        """The living ones, the active first."""
        active = self.active()
        return [c.process for c in sorted(self.controllers.values(), key=lambda c: c is not active) if c.alive]


class StandIn:
    """An ordinary router in the place of the pair: proves that the lab sees what it must see."""

    name = "stand-in"
    redundant = False

    def __init__(self, daemon: Daemon, namespace: str, side: str = "a") -> None:
        self.daemon, self.namespace, self.side = daemon, namespace, side
        self.port = f"p-ctl-{side}"
        run("ip", "netns", "exec", namespace, "nft", "delete", "table", "inet", "lockstep", check=False)
        run("ip", "-n", namespace, "link", "set", "svc0", "address", VIRTUAL_MAC)
        run("ip", "-n", namespace, "address", "add", f"{ROUTER4}/{LAN4.prefixlen}", "dev", "svc0")
        run("ip", "-n", namespace, "address", "add", f"{ROUTER6}/{LAN6.prefixlen}", "dev", "svc0", "nodad")

    @property
    def process(self) -> Process:
        if self.daemon.process is None:
            raise LabError(f"{self.daemon.make} was never started")
        return self.daemon.process

    @property
    def alive(self) -> bool:
        return self.daemon.process is not None and self.daemon.process.alive

    def start(self) -> None:
        self.daemon.start()

    def stop(self) -> None:
        self.daemon.stop()

    def active(self) -> StandIn:
        return self

    def wait_active(self, timeout: float = 20) -> StandIn:
        return self

    def wait_redundant(self, timeout: float = 60) -> tuple[StandIn, float]:
        return self, 0.0

    def processes(self) -> list[Process]:
        return [self.process] if self.alive else []
