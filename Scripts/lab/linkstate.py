"""A synthetic link-state network behind one neighbour, for measurements: speaks just enough OSPFv2 or IS-IS to form a
point-to-point adjacency with the router under test, hands it the databases of a thousand routers and changes a link.

    python3 -m lab.linkstate ospf|isis DEVICE LOCAL ROUTERS LINKS

Lines on standard input are answered with a line of JSON: "status", "change N INTERVAL_MS" (N times a link changes its
metric, both ends), "quit".
"""

import json
import random
import select
import socket
import struct
import sys
import time
from typing import Any

NETWORK = 0x0a630000        # 10.99.0.0: router n is 10.99.(n>>8).(n&255)


def make_links(routers: int, links: int, seed: int = 1) -> list[dict[int, int]]:
    """[{neighbour: metric}] for each router: a ring, so that all are reached, and random chords. Router 0 is ours."""
    random.seed(seed)
    metric: list[dict[int, int]] = [dict() for _ in range(routers)]
    def join(a: int, b: int) -> None:
        cost = random.randint(1, 100)
        metric[a][b] = metric[b][a] = cost
    for n in range(routers):
        join(n, (n + 1) % routers)
    count = routers
    while count < links:
        a, b = random.randrange(routers), random.randrange(routers)
        if a != b and b not in metric[a]:
            join(a, b)
            count += 1
    return metric


def fletcher(octets: bytes, position: int) -> bytes:
    """Check octets of RFC 905 Annex B at `position` (two octets, zero while this is computed)."""
    c0 = c1 = 0
    for octet in octets:
        c0 = (c0 + octet) % 255
        c1 = (c1 + c0) % 255
    x = ((len(octets) - position - 1) * c0 - c1) % 255
    y = (510 - c0 - x) % 255
    return bytes((x or 255, y or 255))


class Emulator:
    def __init__(self, device: str, local: str, routers: int, links: int) -> None:
        self.device, self.local = device, local
        self.socket: socket.socket
        self.metric = make_links(routers, links)
        self.state = "down"
        self.changes = self.pending_changes = 0
        self.interval = 0.0
        self.next_change = 0.0
        self.acknowledged_at = 0.0
        self.random = random.Random(7)

    def hello(self) -> None:
        """Sends a hello."""
        raise NotImplementedError

    def receive(self, packet: bytes) -> None:
        raise NotImplementedError

    def announce(self, ends: tuple[int, int]) -> None:
        """Sends what both ends of a changed link now say."""
        raise NotImplementedError

    def change(self) -> tuple[int, int]:
        """Another metric on a link between two routers that are not ours."""
        while True:
            a = self.random.randrange(1, len(self.metric))
            b = self.random.choice(sorted(self.metric[a]))
            if b:
                break
        cost = self.metric[a][b] % 100 + 1
        self.metric[a][b] = self.metric[b][a] = cost
        self.changes += 1
        return a, b

    def status(self) -> dict[str, Any]:
        return {"state": self.state, "changes": self.changes, "pending": self.pending_changes,
                "acknowledged_at": self.acknowledged_at, "now": time.monotonic()}

    def run(self) -> None:
        next_hello = 0.0
        while True:
            now = time.monotonic()
            if now >= next_hello:
                self.hello()
                next_hello = now + 1.0
            if self.pending_changes and now >= self.next_change:
                self.pending_changes -= 1
                self.next_change = max(self.next_change + self.interval, now)
                self.announce(self.change())
            deadline = min(next_hello, self.next_change if self.pending_changes else next_hello)
            ready, _, _ = select.select([self.socket, sys.stdin], [], [], max(0.0, deadline - time.monotonic()))
            if self.socket in ready:
                for _ in range(256):
                    try:
                        self.receive(self.socket.recv(65536))
                    except BlockingIOError:
                        break
            if sys.stdin in ready:
                words = sys.stdin.readline().split()
                if not words or words[0] == "quit":
                    print(json.dumps(self.status()), flush=True)
                    return
                if words[0] == "change":
                    self.pending_changes, self.interval = int(words[1]), float(words[2]) / 1000
                    self.next_change = time.monotonic()
                print(json.dumps(self.status()), flush=True)


class OSPF(Emulator):
    """RFC 2328 as the slave of a point-to-point adjacency."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, 89)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.device.encode())
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        membership = socket.inet_aton("224.0.0.5") + socket.inet_aton(self.local)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(self.local))
        self.socket.setblocking(False)
        # Lower than the router's, so that it is the master.
        self.id = NETWORK
        self.peer = 0
        self.sequence = [0] * len(self.metric)
        self.lsas: dict[int, bytes] = {}
        self.to_describe: list[int] = []
        # Of the database description that came last: its number, and what was answered.
        self.described: int | None = None
        self.reply = b""

    def lsa(self, n: int) -> bytes:
        links = [struct.pack(">IIBBH", NETWORK | m, NETWORK | n, 1, 0, cost) for m, cost in sorted(self.metric[n].items())]
        links.append(struct.pack(">IIBBH", NETWORK | n, 0xffffffff, 3, 0, 0))
        if n == 0:
            # The link to the router under test.
            links.append(struct.pack(">IIBBH", self.peer, int.from_bytes(socket.inet_aton(self.local), "big"), 1, 0, 10))
        body = struct.pack(">BBH", 0, 0, len(links)) + b"".join(links)
        header = struct.pack(">BBIIIHH", 2, 1, NETWORK | n, NETWORK | n, 0x80000001 + self.sequence[n], 0, 20 + len(body))
        check = fletcher(header + body, 14)
        return struct.pack(">H", 1) + header[:14] + check + header[16:] + body

    def send(self, kind: int, body: bytes, to: str = "224.0.0.5") -> None:
        packet = struct.pack(">BBHIIHHQ", 2, kind, 24 + len(body), self.id, 0, 0, 0, 0) + body
        total = 0
        padded = packet[:16] + packet[24:] + b"\0" * (len(packet) & 1)
        for i in range(0, len(padded), 2):
            total += padded[i] << 8 | padded[i + 1]
        while total >> 16:
            total = (total & 0xffff) + (total >> 16)
        packet = packet[:12] + struct.pack(">H", ~total & 0xffff) + packet[14:]
        try:
            self.socket.sendto(packet, (to, 0))
        except BlockingIOError:
            pass

    def hello(self) -> None:
        body = struct.pack(">IHBBIII", 0xffffff00, 1, 2, 1, 4, 0, 0)
        self.send(1, body + (struct.pack(">I", self.peer) if self.peer else b""))

    def receive(self, packet: bytes) -> None:
        packet = packet[(packet[0] & 15) * 4:]
        if len(packet) < 24 or packet[0] != 2:
            return
        kind, peer, body = packet[1], struct.unpack(">I", packet[4:8])[0], packet[24:struct.unpack(">H", packet[2:4])[0]]
        if peer == self.id:
            return
        if kind == 1:
            self.peer = peer
            if self.state == "down" and struct.pack(">I", self.id) in body[20:]:
                self.state = "exstart"
                self.lsas = {n: self.lsa(n) for n in range(len(self.metric))}
            if self.state == "exstart":
                self.send(2, struct.pack(">HBBI", 1500, 2, 7, 1))
        elif kind == 2 and self.state in ("exstart", "exchange", "loading", "full"):
            flags, sequence = body[3], struct.unpack(">I", body[4:8])[0]
            if flags & 4:
                self.state = "exchange"
                self.to_describe = sorted(self.lsas)
                self.described = None
            if self.state == "exstart":
                return
            if self.described != sequence:
                self.described = sequence
                headers, self.to_describe = self.to_describe[:70], self.to_describe[70:]
                self.reply = struct.pack(">HBBI", 1500, 2, 2 if self.to_describe else 0, sequence) + b"".join(
                    self.lsas[n][:20] for n in headers)
            self.send(2, self.reply)
            if not self.to_describe and not flags & 2 and self.state == "exchange":
                self.state = "full"
        elif kind == 3:
            batch = b""
            count = 0
            for i in range(0, len(body) - 11, 12):
                n = struct.unpack(">I", body[i + 4:i + 8])[0] & 0xffff
                lsa = self.lsas.get(n)
                if lsa is None:
                    continue
                if len(batch) + len(lsa) > 1400:
                    self.send(4, struct.pack(">I", count) + batch)
                    batch, count = b"", 0
                batch += lsa
                count += 1
            if count:
                self.send(4, struct.pack(">I", count) + batch)
        elif kind == 4:
            acknowledged, at = b"", 4
            for _ in range(struct.unpack(">I", body[:4])[0]):
                acknowledged += body[at:at + 20]
                at += struct.unpack(">H", body[at + 18:at + 20])[0]
            self.send(5, acknowledged)
        elif kind == 5:
            self.acknowledged_at = time.monotonic()

    def announce(self, ends: tuple[int, int]) -> None:
        update = b""
        for n in ends:
            self.sequence[n] += 1
            self.lsas[n] = self.lsa(n)
            update += self.lsas[n]
        self.send(4, struct.pack(">I", len(ends)) + update)


class ISIS(Emulator):
    """ISO 10589 level 2 on a point-to-point circuit with RFC 5303's handshake."""

    GROUP = bytes.fromhex("09002b000005")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0004))
        self.socket.bind((self.device, 0x0004))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        # ETH_P_802_2 takes frames to our own address and groups that somebody joined: join this one.
        index = socket.if_nametoindex(self.device)
        for group in (self.GROUP, bytes.fromhex("0180c2000014"), bytes.fromhex("0180c2000015")):
            self.socket.setsockopt(263, 1, struct.pack("iHH8s", index, 0, 6, group + b"\0\0"))
        self.socket.setblocking(False)
        self.mac: bytes = self.socket.getsockname()[4]
        self.peer: bytes | None = None
        self.peer_circuit = 0
        self.sequence = [1] * len(self.metric)

    @staticmethod
    def system(n: int) -> bytes:
        return b"\0\0" + struct.pack(">I", NETWORK | n)

    def send(self, kind: int, header: bytes, tlvs: bytes) -> None:
        length = {17: 20, 20: 27, 25: 33, 27: 17}[kind]
        pdu = struct.pack(">BBBBBBBB", 0x83, length, 1, 0, kind, 1, 0, 0) + header + tlvs
        llc = b"\xfe\xfe\x03" + pdu
        frame = self.GROUP + self.mac + struct.pack(">H", len(llc)) + llc
        try:
            self.socket.send(frame + b"\0" * max(0, 60 - len(frame)))
        except BlockingIOError:
            pass

    @staticmethod
    def tlv(kind: int, value: bytes) -> bytes:
        return bytes((kind, len(value))) + value

    def hello(self) -> None:
        three_way = bytes((2,)) + struct.pack(">I", 1)
        if self.peer:
            three_way = bytes((0 if self.state != "down" else 1,)) + struct.pack(">I", 1) + self.peer + struct.pack(
                ">I", self.peer_circuit)
        tlvs = (self.tlv(1, b"\x03\x49\x00\x01") + self.tlv(129, b"\xcc") + self.tlv(132, socket.inet_aton(self.local))
                + self.tlv(240, three_way))
        self.send(17, struct.pack(">B6sHHB", 2, self.system(0), 10, 20 + len(tlvs), 1), tlvs)

    def lsp(self, n: int) -> bytes:
        neighbours = [(self.system(m) + b"\0", cost) for m, cost in sorted(self.metric[n].items())]
        if n == 0 and self.peer:
            neighbours.append((self.peer + b"\0", 10))
        tlvs = self.tlv(1, b"\x03\x49\x00\x01") + self.tlv(129, b"\xcc")
        entries = [name + struct.pack(">I", cost)[1:] + b"\0" for name, cost in neighbours]
        for i in range(0, len(entries), 23):
            tlvs += self.tlv(22, b"".join(entries[i:i + 23]))
        tlvs += self.tlv(135, struct.pack(">IBI", 0, 32, NETWORK | n))
        body = struct.pack(">HH6sBBIHB", 27 + len(tlvs), 1100, self.system(n), 0, 0, self.sequence[n], 0, 3) + tlvs
        check = fletcher(body[4:], 12)
        return body[:16] + check + body[18:]

    def receive(self, frame: bytes) -> None:
        if frame[14:17] != b"\xfe\xfe\x03" or frame[6:12] == self.mac:
            return
        pdu = frame[17:]
        kind = pdu[4] & 31
        if kind == 17:
            self.peer = pdu[9:15]
            tlvs = pdu[20:struct.unpack(">H", pdu[17:19])[0]]
            while len(tlvs) >= 2:
                if tlvs[0] == 240 and tlvs[1] >= 5:
                    self.peer_circuit = struct.unpack(">I", tlvs[3:7])[0]
                    if self.state == "down" and tlvs[1] >= 11 and tlvs[7:13] == self.system(0):
                        self.state = "up"
                        self.hello()
                        if tlvs[2] == 0:
                            self.flood()
                    elif self.state == "up" and tlvs[2] == 0:
                        self.flood()
                tlvs = tlvs[2 + tlvs[1]:]
            if self.state == "down":
                self.hello()
        elif kind == 27:
            self.acknowledged_at = time.monotonic()
        elif kind == 20 and self.state != "down":
            # Theirs: acknowledged, so that they stop.
            head = pdu[8:27]
            entry = head[2:4] + head[4:12] + head[12:16] + head[16:18]
            tlvs = self.tlv(9, entry)
            self.send(27, struct.pack(">H6sB", 17 + len(tlvs), self.system(0), 0), tlvs)

    def flood(self) -> None:
        self.state = "full"
        for n in range(len(self.metric)):
            self._send_lsp(n)
            if n % 32 == 31:
                time.sleep(0.005)

    def _send_lsp(self, n: int) -> None:
        body = self.lsp(n)
        self.send(20, body[:19], body[19:])

    def announce(self, ends: tuple[int, int]) -> None:
        for n in ends:
            self.sequence[n] += 1
            self._send_lsp(n)


if __name__ == "__main__":
    speakers: dict[str, type[Emulator]] = {"ospf": OSPF, "isis": ISIS}
    speakers[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])).run()
