import Machine
import Records
import Wire

/// The start-up self-test: does anybody but the twin already answer for our addresses?
///
/// The questions come from a made-up MAC. From the virtual one they would move the switch's port away from the active,
/// which may well be speaking.
struct Probe {
    /// Locally administered, unicast.
    var mac: MACAddress
    var round = 0
    var answers: [ProbeConflict] = []
    /// One answer per address is enough; so many addresses can answer.
    static let answersMaximum = 1024
    static let rounds = 3
    static let gap = Duration.milliseconds(100)
}

extension LineCard {
    mutating func startProbe(
        _ list: [InterfaceConfiguration], at now: Instant, into effects: inout [LineCardEffect]
    ) {
        guard !isSpeaking else {
            effects.append(.probeResult([]))
            return
        }
        mode = .probing
        interfaces = []
        for i in list.indices.prefix(Int(UInt16.max)) {
            interfaces.append(Interface(id: InterfaceID(UInt16(i)), list[i]))
        }
        timers.removeAll()
        probe = Probe(mac: MACAddress(raw: random.next() & 0xfcff_ffff_ffff | 0x0200_0000_0000))
        probeTimer(at: now, into: &effects)
    }

    mutating func probeTimer(at now: Instant, into effects: inout [LineCardEffect]) {
        guard let current = probe else { return }
        if current.round == Probe.rounds {
            effects.append(.probeResult(current.answers))
            mode = .silent
            interfaces = []
            probe = nil
            return
        }
        probe?.round += 1
        // The last round waits for the rest of the time.
        let wait = current.round + 1 == Probe.rounds ? Self.probeTime - Probe.gap * (Probe.rounds - 1) : Probe.gap
        timers.set(.probe, at: now + wait)
        for i in interfaces.indices where !interfaces[i].isLoopback {
            for own in interfaces[i].configuration.addresses {
                switch own.address {
                case .v4(let a):
                    // RFC 5227 §2.1.1
                    sendARP(
                        .init(
                            operation: .request, senderMAC: current.mac, sender: .any, targetMAC: MACAddress(raw: 0),
                            target: a),
                        to: .broadcast, from: current.mac, on: i, into: &effects)
                case .v6(let a):
                    // RFC 4862 §5.4.2
                    sendNeighborMessage(
                        .solicitation(target: a, link: nil), from: .any, to: a.solicitedNode,
                        mac: a.solicitedNode.multicastMAC, sourceMAC: current.mac, on: i, into: &effects)
                }
            }
        }
    }

    mutating func probeReceive(_ payload: RawSpan, _ ethernet: EthernetHeader, on i: Int) {
        do {
            switch ethernet.type {
            case EtherType.arp:
                let packet = try ARPPacket(payload)
                noteAnswer(.v4(packet.sender), packet.senderMAC, on: i)
            case EtherType.ipv6:
                var r = ByteReader(payload)
                var length = 0
                let header = try IPv6Header(from: &r, payloadLength: &length)
                guard header.nextHeader == ICMPv6.protocolNumber, header.hopLimit == 255 else { return drop(.silent) }
                let message = try r.span(length, "ICMPv6")
                var checksum = InternetChecksum(
                    from: header.source, to: header.destination, protocolNumber: ICMPv6.protocolNumber, length: length)
                checksum.add(message)
                guard checksum.folded == 0xffff else { return drop(.malformedICMP) }
                if case .advertisement(let target, let link, _) = try NeighborMessage(message) {
                    noteAnswer(.v6(target), link ?? ethernet.source, on: i)
                }
            default:
                drop(.silent)
            }
        } catch {
            drop(.silent)
        }
    }

    private mutating func noteAnswer(_ address: IPAddress, _ mac: MACAddress, on i: Int) {
        // The virtual MAC is the twin's as much as ours: that is the pair at work.
        guard let current = probe, mac != interfaces[i].mac, mac != current.mac,
            interfaces[i].configuration.addresses.contains(where: { $0.address == address }),
            current.answers.count < Probe.answersMaximum,
            !current.answers.contains(where: { $0.interface == interfaces[i].id && $0.address == address })
        else { return }
        probe?.answers.append(ProbeConflict(interface: interfaces[i].id, address: address, owner: mac))
    }
}
