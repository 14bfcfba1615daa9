"""One whole lab: topology, peers, loader, sink and the router in the middle."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable

from . import judge
from .blaster import Blaster, LineProgram, build
from .cables import Flapper
from .daemons import MAKES, Daemon, Neighbour
from .lockstep import Pair, StandIn
from .processes import LabError, Process, on_exit, run, wait_until
from .table import Table
from .topology import ROUTER4, ROUTER6, ROUTER_AS, VIRTUAL_MAC, Topology, make_folder, require_root
from .witness import Capture, Testimony, read_capture

_LOADER = ("198.18.0.21", "2001:db8:18::21", 65021)
_HOSTILE = ("198.18.0.66", "2001:db8:18::66", 65066)
_SINK = ("198.18.0.22", "2001:db8:18::22", 65022)
_NOBODY = ("198.18.0.250", "2001:db8:18::250")

# OpenBGPD needs the kernel's TCP_MD5SIG through PF_KEY, which a namespace may not have.
_MD5_MAKES = ("frr", "bird", "gobgp")


class Lab:
    def __init__(self, makes: Iterable[str] = tuple(MAKES), offload: bool = True, hold: int = 9, keep_files: bool = False,
                 md5: bool = False) -> None:
        require_root()
        self.hold = hold
        self.folder = make_folder()
        if not keep_files:
            on_exit(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        self.topology = Topology(offload=offload)
        self.controllers = self.topology.add_controllers()
        self.bgpblast = build(self.folder)
        self.pulse_program = build(self.folder, os.path.join(os.path.dirname(__file__), "pulse.c"))
        # Set by whoever makes the router, by start_peers and by start_capture.
        self.router: Pair | StandIn
        self.table: Table
        self.capture: Capture
        self.blasters: dict[str, Blaster] = {}
        self.peers: dict[str, Daemon] = {}
        self.addresses: dict[str, tuple[str, str]] = {}        # by the peer's name
        self.router_neighbours: list[Neighbour] = []
        for number, name in enumerate(makes):
            a4, a6, asn = f"198.18.0.{11 + number}", f"2001:db8:18::{11 + number}", 65011 + number
            namespace = self.topology.add_host(name, a4, a6)
            password = "two-hosts-one-router" if md5 and name in _MD5_MAKES else None
            self.peers[name] = MAKES[name](namespace, os.path.join(self.folder, name), asn, a4, a6,
                                           [Neighbour(router, ROUTER_AS, hold, password=password)
                                            for router in (ROUTER4, ROUTER6)])
            self._neighbour(name, a4, a6, asn, password)
        self.loader_namespace = self.topology.add_host("loader", _LOADER[0], _LOADER[1])
        self.sink_namespace = self.topology.add_host("sink", _SINK[0], _SINK[1])
        self._neighbour("loader", *_LOADER)
        self._neighbour("sink", *_SINK)
        self.hostile_namespace: str | None = None
        self.flapper: Flapper | None = None

    @property
    def pair(self) -> Pair:
        """The router in the middle, where only a pair will do."""
        if not isinstance(self.router, Pair):
            raise LabError("the router in the middle is no pair of controllers")
        return self.router

    def add_hostile(self) -> None:
        """One more neighbour, which means no good. Before the router starts."""
        self.hostile_namespace = self.topology.add_host("hostile", _HOSTILE[0], _HOSTILE[1])
        self.addresses["hostile"] = _HOSTILE[:2]
        self.router_neighbours.append(Neighbour(_HOSTILE[0], _HOSTILE[2], 30, passive=True, retry_at_once=True))

    def attack(self, seed: int) -> dict[str, int]:
        """Lets the hostile neighbour have its way; returns what it sent."""
        if self.hostile_namespace is None:
            raise LabError("there is no hostile neighbour in this lab")
        victims: list[str] = []
        for namespace in (self.loader_namespace, self.sink_namespace):
            for line in run("ip", "netns", "exec", namespace, "ss", "-Htn4", "dport", "=", ":179").splitlines():
                victims += ["--victim", line.split()[3]]
        text = run("ip", "netns", "exec", self.hostile_namespace, sys.executable, "-m", "lab.hostile",
                   "--local", _HOSTILE[0], "--remote", ROUTER4, "--remote6", ROUTER6, "--mac", VIRTUAL_MAC,
                   "--asn", _HOSTILE[2], "--seed", seed, *victims, timeout=120)
        sent: dict[str, int] = json.loads(text)
        return sent

    def _neighbour(self, name: str, a4: str, a6: str, asn: int, password: str | None = None) -> None:
        self.addresses[name] = (a4, a6)
        # The router waits for its peers: their own retries decide how soon a session comes up.
        self.router_neighbours += [Neighbour(address, asn, self.hold, passive=True, password=password)
                                   for address in (a4, a6)]

    def peer_of(self, address: str) -> str:
        return next((name for name, addresses in self.addresses.items() if address in addresses), address)

    def start_peers(self, table: Table) -> None:
        self.table = table
        for daemon in self.peers.values():
            daemon.start()
        def blaster(name: str, namespace: str, local: str, asn: int, router: str, table: Table | None) -> None:
            self.blasters[name] = Blaster(self.bgpblast, namespace, os.path.join(self.folder, f"{name}.log"),
                                          local, router, asn, ROUTER_AS, hold=self.hold, table=table)
        blaster("loader4", self.loader_namespace, _LOADER[0], _LOADER[2], ROUTER4, table)
        blaster("loader6", self.loader_namespace, _LOADER[1], _LOADER[2], ROUTER6, table)
        blaster("sink4", self.sink_namespace, _SINK[0], _SINK[2], ROUTER4, None)
        blaster("sink6", self.sink_namespace, _SINK[1], _SINK[2], ROUTER6, None)
        self.pulse = LineProgram([self.pulse_program, _SINK[0], ROUTER4, "1000"], self.sink_namespace,
                                 os.path.join(self.folder, "pulse.log"))
        # No LAN is quite still: once a second somebody asks all for an address that nobody has.
        self.askers = [Process(["ping", "-q", "-n", "-i", "1", address], namespace=self.loader_namespace)
                       for address in _NOBODY]

    def wait_sessions(self, timeout: float = 60) -> float:
        began = time.monotonic()
        judge.wait_all_up(self.peers, self.blasters, 2, timeout)
        return time.monotonic() - began

    def wait_sessions_back(self, timeout: float) -> float:
        """After a real loss. OpenBGPD waits for minutes before it tries again: it is started anew, until it gets through."""
        deadline = time.monotonic() + timeout
        while True:
            for daemon in self.peers.values():
                if daemon.make == "OpenBGPD" and not all(report.up for report in daemon.reports().values()):
                    daemon.stop()
                    daemon.start()
            try:
                return self.wait_sessions(12)
            except LabError:
                if time.monotonic() > deadline:
                    raise

    def load_table(self, timeout: float) -> tuple[float, float]:
        """Announces the table and waits until the sink has all of it. Returns the seconds it took there."""
        self.blasters["sink4"].ask(f"expect {self.table.count4} 0")
        self.blasters["sink6"].ask(f"expect 0 {self.table.count6}")
        began = time.monotonic()
        for name in ("loader4", "loader6"):
            self.blasters[name].ask("announce")
        def complete() -> bool:
            return all(self.blasters[name].status()["complete_at"] > 0 for name in ("sink4", "sink6"))
        try:
            wait_until(complete, timeout, "the whole table at the sink", interval=0.25)
        except LabError:
            have = [self.blasters[name].routes for name in ("sink4", "sink6")]
            raise LabError(f"the sink has {have[0]} + {have[1]} of {self.table.count4} + {self.table.count6} routes"
                           f" after {timeout:g} s; {self.blasters['sink4'].status()['events'][-2:]}"
                           f" {self.blasters['loader4'].status()['events'][-2:]}") from None
        loader, sink = self.blasters["loader4"].status(), self.blasters["sink4"].status()
        return sink["complete_at"] - loader["first_table_byte"], time.monotonic() - began

    def wait_prefixes(self, timeout: float) -> dict[tuple[str, str], int]:
        """Waits until every peer has accepted the whole table; returns what is still missing."""
        wanted = {ROUTER4: self.table.count4, ROUTER6: self.table.count6}
        deadline = time.monotonic() + timeout
        while True:
            missing = {key: count for key, count in judge.prefixes_of(self.peers).items() if count != wanted[key[1]]}
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(0.3)

    def churn(self, rate: int, count: int) -> None:
        self.blasters["loader4"].ask(f"churn {rate} {count}")

    def settle(self, timeout: float = 15) -> list[str]:
        """Stops the churn and waits until the sink has exactly what the loader announced. Returns why not."""
        self.blasters["loader4"].ask("settle")
        deadline = time.monotonic() + timeout
        while True:
            problems = []
            for family in "46":
                sent, got = self.blasters[f"loader{family}"].digest(), self.blasters[f"sink{family}"].digest()
                if sent[f"sent{family}"] != got[f"received{family}"]:
                    problems.append(f"IPv{family}: {got[f'received_count{family}']} routes at the sink,"
                                    f" {sent[f'sent_count{family}']} announced, digests differ")
            if not problems or time.monotonic() > deadline:
                return problems
            time.sleep(0.1)

    def look(self) -> dict[str, judge.PeerView]:
        return judge.look(self.peers, self.blasters)

    def start_capture(self, name: str = "window") -> Capture:
        self.capture = Capture(self.topology, os.path.join(self.folder, f"{name}.pcap"))
        return self.capture

    def read_capture(self, begin: float | None = None, end: float | None = None) -> Testimony:
        return read_capture(self.capture.stop(), begin, end)

    def stop_peers(self) -> None:
        for blaster in self.blasters.values():
            blaster.stop()
        for daemon in self.peers.values():
            daemon.stop()
