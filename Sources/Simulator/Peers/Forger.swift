import Controller
import Machine
import Records
import Redundancy
import Wire

/// What a stranger on the LAN says in the pair's name.
public enum Forgery: CaseIterable, Sendable {
    /// Beats that were heard some time ago, the oldest first, from whatever address they had.
    case recordings
    /// Beats that claim a great epoch, under a key that is not the pair's; one is a real beat with other words in it.
    case wrongKey
    /// Frames from the router's own address.
    case virtualMAC
    /// The same from the address of a controller's host.
    case hostAddress
    /// The router's IP address is claimed for another station.
    case addressClaim
    /// Over the redundancy link: beats under another key, and a dying gasp with another token.
    case datagrams
}

/// A station on the first LAN that records the pair's beats and speaks in its name. It has no key and can make none.
struct Forger {
    /// What was heard first, and what was heard last.
    private var oldest: [[UInt8]] = []
    private var newest: [[UInt8]] = []
    private var heard = 0
    static let recordingsMaximum = 32
    static let address = MACAddress(raw: 0x0200_0000_4000)

    mutating func hear(_ frame: [UInt8]) {
        guard Beat.isOne(frame.span.bytes) else { return }
        if oldest.count < Self.recordingsMaximum {
            oldest.append(frame)
        } else if newest.count < Self.recordingsMaximum {
            newest.append(frame)
        } else {
            newest[heard % Self.recordingsMaximum] = frame
        }
        heard += 1
    }

    /// Frames for the LAN.
    func frames(_ forgery: Forgery, random: inout RandomNumbers) -> [[UInt8]] {
        switch forgery {
        case .recordings: return oldest + newest
        case .wrongKey:
            let key = PairKey(high: random.next(), low: random.next())
            var list = ControllerID.allCases.map { id in
                var frame = Self.claim(of: id, nonce: random.next()).frame(key: key)
                frame.fillSource(Self.address)
                return frame
            }
            // The flags stand eight octets behind the EtherType's end: see `Beat+Coding.swift`.
            if var changed = newest.last ?? oldest.last, changed.count > 22 {
                changed[21] = 0xff
                list.append(changed)
            }
            return list
        case .virtualMAC:
            // RFC 5227: an announcement, and a question to everybody.
            return [
                Self.arp(from: Simulation.routerMAC, sender: Simulation.routerAddress, target: Simulation.routerAddress),
                Self.arp(
                    from: Simulation.routerMAC, sender: Simulation.routerAddress,
                    target: IPv4Address(raw: Simulation.routerAddress.raw + 200)),
            ]
        case .hostAddress:
            return ControllerID.allCases.map {
                Self.arp(
                    from: Simulation.hostMAC($0), sender: IPv4Address(raw: Simulation.routerAddress.raw + 201),
                    target: IPv4Address(raw: Simulation.routerAddress.raw + 202))
            }
        case .addressClaim:
            return [Self.arp(from: Self.address, sender: Simulation.routerAddress, target: Simulation.routerAddress)]
        case .datagrams: return []
        }
    }

    /// Datagrams for the redundancy link of the controller whose twin this is not.
    static func datagrams(as id: ControllerID, random: inout RandomNumbers) -> [[UInt8]] {
        let key = PairKey(high: random.next(), low: random.next())
        let gasp = DyingGasp(
            controller: id, epoch: Epoch(1 << 40), index: LogIndex(1), bootNonce: random.next(),
            token: DyingGasp.Token(high: random.next(), low: random.next()))
        return [claim(of: id, nonce: random.next()).datagram(key: key), gasp.encoded()]
    }

    private static func claim(of id: ControllerID, nonce: UInt64) -> Beat {
        Beat(
            pairID: 7, controller: id, bootNonce: nonce, sequence: 1 << 40, state: .activeAlone, epoch: Epoch(1 << 40),
            flags: .holds)
    }

    /// RFC 826: a request, by broadcast.
    private static func arp(from source: MACAddress, sender: IPv4Address, target: IPv4Address) -> [UInt8] {
        var writer = ByteWriter(capacity: 60)
        writer.mac(MACAddress(raw: 0xffff_ffff_ffff))
        writer.mac(source)
        for word: UInt16 in [0x0806, 1, 0x0800, 0x0604, 1] { writer.u16(word) }
        writer.mac(source)
        writer.u32(sender.raw)
        writer.zeros(6)
        writer.u32(target.raw)
        writer.zeros(60 - writer.count)
        return writer.bytes
    }
}
