import Machine
import Records
import Wire

/// Taking over means that the switch must learn our port and that neighbours keep our MAC: gratuitous ARP (RFC 5227 §3)
/// and unsolicited Neighbor Advertisements (RFC 4861 §7.2.6), several times, since any of them may be lost.
extension LineCard {
    /// When all addresses are announced, after the beginning.
    static let announcementTimes: [Duration] = [.zero, .milliseconds(50), .milliseconds(200), .milliseconds(1000)]
    /// Between them, as long as the kernel of a host that died may still forward in our name (`forwarding.hold`), the
    /// switch learns our port anew this often: a packet that goes by the other port teaches it that one again.
    static let beaconGap = Duration.milliseconds(10)
    static let beaconsUntil = Duration.milliseconds(200)
    /// RFC 5227 §1.1 DEFEND_INTERVAL.
    static let defendInterval = Duration.seconds(10)

    mutating func startAnnouncing(_ i: Int, at now: Instant, into effects: inout [LineCardEffect]) {
        interfaces[i].announcementRound = 0
        interfaces[i].announcedSince = now
        announce(i, at: now, into: &effects)
    }

    mutating func announce(_ i: Int, at now: Instant, into effects: inout [LineCardEffect]) {
        guard i < interfaces.count, isUp(interfaces[i].id), !interfaces[i].isLoopback else { return }
        let since = interfaces[i].announcedSince
        let round = interfaces[i].announcementRound
        guard round < Self.announcementTimes.count else { return }
        if now >= since + Self.announcementTimes[round] {
            interfaces[i].announcementRound += 1
            for own in interfaces[i].addresses { announce(own.address, on: i, into: &effects) }
            reportGroups(on: i, into: &effects)
        } else if let first = interfaces[i].addresses.first {
            announce(first.address, on: i, into: &effects)
        }
        guard interfaces[i].announcementRound < Self.announcementTimes.count else { return }
        var next = since + Self.announcementTimes[interfaces[i].announcementRound]
        if now < since + Self.beaconsUntil { next = min(next, now + Self.beaconGap) }
        timers.set(.announce(i), at: next)
    }

    private mutating func announce(_ address: IPAddress, on i: Int, into effects: inout [LineCardEffect]) {
        counters.announcements += 1
        let mac = interfaces[i].mac
        switch address {
        case .v4(let a):
            // RFC 5227 §3: the request form is the one that every stack takes for an update.
            sendARP(
                .init(operation: .request, senderMAC: mac, sender: a, targetMAC: MACAddress(raw: 0), target: a),
                to: .broadcast, on: i, into: &effects)
        case .v6(let a):
            sendNeighborMessage(
                .advertisement(target: a, link: mac, flags: [.router, .override]), from: a, to: .allNodes,
                mac: IPv6Address.allNodes.multicastMAC, on: i, into: &effects)
        }
    }

    /// Somebody else uses our address. RFC 5227 §2.4 (c): a router keeps its address, says so, and tells the operator;
    /// no more than once per interval, or two such hosts would flood the link.
    mutating func conflict(
        _ address: IPAddress, _ mac: MACAddress, on i: Int, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        counters.conflicts += 1
        guard let k = interfaces[i].index(of: address) else { return }
        if let last = interfaces[i].addresses[k].lastConflict, now - last < Self.defendInterval { return }
        interfaces[i].addresses[k].lastConflict = now
        let name = interfaces[i].configuration.name
        effects.append(.addressConflict(interfaces[i].id, address, mac))
        effects.append(.event(Event(.alarm, "linecard", "\(mac) on \(name) uses our address \(address)")))
        announce(address, on: i, into: &effects)
    }
}
