"""The wire witness: a capture of everything that enters the service LAN, and what it tells.

Frames are taken where they come in from the host that sent them, so each is seen once and the port says
who sent it, even though both controllers speak with the same MAC. The kernel stamps frames with the
clock that `time.time()` reads; the moment of a SIGKILL and the frames around it are therefore comparable.
"""

from __future__ import annotations

import array
import collections
import os
import signal
import socket
import struct
import time
from dataclasses import dataclass, field

from .processes import LabError, Process, wait_until
from .topology import ROUTER4, ROUTER6, VIRTUAL_MAC, Topology

_MARKER = b"\xff" * 16
_BGP_OPEN, _BGP_NOTIFICATION = 1, 3
_ROUTER = {socket.inet_pton(socket.AF_INET, ROUTER4), socket.inet_pton(socket.AF_INET6, ROUTER6)}


class Capture:
    """One tcpdump on all ports of the LAN."""

    def __init__(self, topology: Topology, path: str) -> None:
        # A larger ring takes the kernel 140 ms to tear down on one processor, which a kernel without preemption does in
        # one go: seen as lost heartbeats of controllers that had nothing to do with it.
        self.topology, self.path = topology, path
        self.log = path + ".log"
        if os.path.exists(self.log):
            os.unlink(self.log)
        self.process = Process(
            ["tcpdump", "-i", "any", "-Q", "in", "-y", "LINUX_SLL2", "-n", "-s", "0", "-B", "16384",
             "--time-stamp-precision=nano", "-Z", "root", "-w", path], namespace=topology.lan, log=self.log)
        wait_until(lambda: "listening on" in self.process.tail(), 10, "tcpdump", interval=0.02)
        self.began = time.time()

    def stop(self) -> Capture:
        # tcpdump reads its ring in blocks: give the last frames time to reach it.
        time.sleep(0.1)
        self.process.signal(signal.SIGINT)
        self.process.popen.wait(20)
        text = self.process.tail(20)
        lost = [line for line in text.splitlines() if "dropped by kernel" in line]
        self.lost = int(lost[0].split()[0]) if lost else 0
        self.ended = time.time()
        return self


@dataclass
class Flow:
    """One direction of a TCP connection of the router."""
    expected: int | None = None
    tail: bytes = b""
    newest_stamp: int | None = None
    # (end of segment, time) not yet acknowledged
    waiting: collections.deque[tuple[int, float]] = field(default_factory=collections.deque)


@dataclass
class Reign:
    """A time during which only one port spoke as the router."""
    port: str
    first: float         # when its first frame came
    last: float
    frames: int


@dataclass
class Testimony:
    """What was seen between two moments."""
    began: float
    ended: float
    frames: int = 0
    frames_lost: int = 0                    # by the capture itself
    from_router: list[tuple[float, str]] = field(default_factory=list)         # (time, port), from the virtual MAC
    unheard: list[tuple[float, str]] = field(default_factory=list)             # the same, of frames that the LAN did not take
    tcp_from_router: dict[str, list[float]] = field(default_factory=dict)      # by the peer's address
    counts: dict[str, int] = field(default_factory=dict)                       # "SYN from peer" and the like
    incidents: list[tuple[float, str]] = field(default_factory=list)           # the first of them
    stamps_backwards: int = 0               # TCP timestamps of the router that went back (PAWS would drop them)
    bad_checksums: int = 0                  # of TCP segments from the router
    acknowledged_after: list[float] = field(default_factory=list)    # seconds from a peer's segment to the router's ACK of it

    def mute(self, port: str, begin: float, end: float) -> None:
        """The LAN took nothing from that port between the two moments: what came in there was said to nobody."""
        self.unheard += [frame for frame in self.from_router if frame[1] == port and begin <= frame[0] < end]
        self.from_router = [frame for frame in self.from_router if not (frame[1] == port and begin <= frame[0] < end)]

    def reigns(self) -> list[Reign]:
        """Each time during which only one port spoke as the router."""
        found: list[Reign] = []
        for at, port in sorted(self.from_router + self.unheard):
            if found and found[-1].port == port:
                found[-1].last = at
                found[-1].frames += 1
            else:
                found.append(Reign(port, at, at, 1))
        return found

    def longest_silence(self, begin: float | None = None, end: float | None = None) -> tuple[float, float]:
        """(seconds, when it began) of the longest time without any frame from the virtual MAC."""
        return _longest_gap([at for at, _ in self.from_router], begin or self.began, end or self.ended)

    def first_frame_after(self, moment: float, port: str | None = None) -> float | None:
        """Seconds from the moment to the first frame from the virtual MAC (through that port), or None."""
        for at, via in self.from_router:
            if at >= moment and (port is None or via == port):
                return at - moment
        return None

    def first_tcp_after(self, moment: float) -> dict[str, float | None]:
        return {peer: next((at - moment for at in times if at >= moment), None)
                for peer, times in self.tcp_from_router.items()}

    def frames_between(self, port: str, begin: float, end: float) -> int:
        """Whether anybody heard them or not."""
        return sum(1 for at, via in self.from_router + self.unheard if via == port and begin <= at < end)

    def disturbances(self) -> dict[str, int]:
        """Everything that must not be on the wire while nobody is to notice anything."""
        return {name: count for name, count in self.counts.items() if count}


def _longest_gap(times: list[float], begin: float, end: float) -> tuple[float, float]:
    longest, where, before = 0.0, begin, begin
    for at in times:
        if at < begin:
            continue
        if at > end:
            break
        if at - before > longest:
            longest, where = at - before, before
        before = at
    if end - before > longest:
        longest, where = end - before, before
    return longest, where


def _checksum_is_good(data: bytes, source: bytes, target: bytes, tcp: int, stop: int) -> bool:
    segment = data[tcp:stop]
    total = (sum(array.array("H", source + target)) + sum(array.array("H", segment if len(segment) % 2 == 0 else segment + b"\0"))
             + socket.htons(6) + socket.htons(len(segment) & 0xffff))
    return total % 0xffff == 0


def read_capture(capture: Capture, begin: float | None = None, end: float | None = None) -> Testimony:
    """Reads the pcap of a stopped capture and returns its Testimony."""
    ports = {index: name for name, index in capture.topology.ports.items()}
    virtual = bytes.fromhex(VIRTUAL_MAC.replace(":", ""))
    begin, end = begin or capture.began, end or capture.ended
    told = Testimony(began=begin, ended=end, frames_lost=capture.lost)
    flows: dict[tuple[bytes, bytes, bytes], Flow] = {}
    with open(capture.path, "rb") as file:
        data = file.read()
    if len(data) < 24:
        raise LabError(f"{capture.path} holds no capture: {capture.process.tail()}")
    magic = data[:4]
    order = {b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}.get(magic)
    if order is None:
        raise LabError(f"{capture.path} is not a pcap with nanoseconds")
    record = struct.Struct(order + "IIII")
    sll2 = struct.Struct("!HHIHBB8s")
    at_octet, size = 24, len(data)
    while at_octet + 16 <= size:
        seconds, nanoseconds, kept, _ = record.unpack_from(data, at_octet)
        at_octet += 16
        start = at_octet
        at_octet += kept
        if at_octet > size or kept < 20:
            continue
        at = seconds + nanoseconds / 1e9
        if at < begin or at > end:
            continue
        protocol, _, index, _, _, _, address = sll2.unpack_from(data, start)
        port = ports.get(index)
        if port is None:
            continue      # the bridge itself, which sees group traffic a second time
        told.frames += 1
        router_sent = address[:6] == virtual
        if router_sent:
            told.from_router.append((at, port))
        # IPv4 or IPv6 with TCP on port 179 of the router; nothing else is looked into.
        ip = start + 20
        if protocol == 0x0800 and kept >= 40 and data[ip + 9] == 6:
            source, target = data[ip + 12:ip + 16], data[ip + 16:ip + 20]
            tcp = ip + (data[ip] & 15) * 4
            stop = min(at_octet, ip + (data[ip + 2] << 8 | data[ip + 3]))
            if data[ip + 2] == 0 and data[ip + 3] == 0:
                stop = at_octet       # a super-frame beyond 64 kB leaves its length out
        elif protocol == 0x86dd and kept >= 60 and data[ip + 6] == 6:
            source, target = data[ip + 8:ip + 24], data[ip + 24:ip + 40]
            tcp = ip + 40
            stop = min(at_octet, tcp + (data[ip + 4] << 8 | data[ip + 5]))
            if data[ip + 4] == 0 and data[ip + 5] == 0:
                stop = at_octet
        else:
            continue
        from_router = source in _ROUTER
        if not from_router and target not in _ROUTER:
            continue
        _look_at_segment(told, flows, data, tcp, stop, at, source, target, from_router, router_sent)
    return told


def _look_at_segment(told: Testimony, flows: dict[tuple[bytes, bytes, bytes], Flow], data: bytes, tcp: int, stop: int,
                     at: float, source: bytes, target: bytes, from_router: bool, router_sent: bool) -> None:
    if tcp + 20 > stop:
        return
    peer = target if from_router else source
    family = socket.AF_INET if len(peer) == 4 else socket.AF_INET6
    peer_name = socket.inet_ntop(family, peer)
    side = "from router" if from_router else "from peer"
    flags = data[tcp + 13]

    def count(what: str) -> None:
        name = f"{what} {side}"
        told.counts[name] = told.counts.get(name, 0) + 1
        if len(told.incidents) < 50:
            told.incidents.append((at, f"{name} ({peer_name})"))

    for bit, what in ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST")):
        if flags & bit:
            count(what)
    if from_router and router_sent:
        told.tcp_from_router.setdefault(peer_name, []).append(at)
        if not _checksum_is_good(data, source, target, tcp, stop):
            told.bad_checksums += 1

    key = (source, target, data[tcp:tcp + 4])
    flow = flows.get(key)
    if flow is None or flags & 0x02:
        flow = flows[key] = Flow()
    header = (data[tcp + 12] >> 4) * 4
    # The usual layout: two NOPs, then the timestamp option.
    if header >= 32 and data[tcp + 20:tcp + 24] == b"\x01\x01\x08\x0a":
        stamp = int.from_bytes(data[tcp + 24:tcp + 28], "big")
        if flow.newest_stamp is not None and from_router and (stamp - flow.newest_stamp) & 0x80000000:
            told.stamps_backwards += 1
        flow.newest_stamp = stamp

    if from_router and flags & 0x10:
        acknowledged = int.from_bytes(data[tcp + 8:tcp + 12], "big")
        # The peer's direction of the same connection: its ports the other way round.
        answered = flows.get((target, source, data[tcp + 2:tcp + 4] + data[tcp:tcp + 2]))
        while answered and answered.waiting and (acknowledged - answered.waiting[0][0]) & 0x80000000 == 0:
            told.acknowledged_after.append(at - answered.waiting.popleft()[1])

    payload = data[tcp + header:stop]
    if not payload:
        return
    sequence = int.from_bytes(data[tcp + 4:tcp + 8], "big")
    if not from_router:
        flow.waiting.append(((sequence + len(payload)) & 0xffffffff, at))
    # A header may be cut in two by segments: carry its beginning over when the next segment continues it.
    carried = flow.tail if flow.expected == sequence else b""
    text = carried + payload
    found = text.find(_MARKER)
    while 0 <= found and found + 19 <= len(text):
        if text[found + 16] == 0xff:
            # The octet before the marker was 255 as well (a prefix may end so): the marker begins one later.
            found += 1
            continue
        kind = text[found + 18]
        if found + 19 > len(carried):
            if kind == _BGP_OPEN:
                count("OPEN")
            elif kind == _BGP_NOTIFICATION:
                count("NOTIFICATION")
        found = text.find(_MARKER, found + 19)
    flow.tail = text[-18:]
    flow.expected = (sequence + len(payload)) & 0xffffffff
