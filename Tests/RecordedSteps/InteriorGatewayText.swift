import Records
public import Routing

// What interior gateway protocols are told and do, in words.

extension InteriorGatewayInput {
    /// - Parameter summary: what a packet says. Its octets stand where it was sent.
    /// - Returns: `nil` for nothing but the time.
    public func text(_ summary: ([UInt8]) -> String) -> String? {
        switch self {
        case .configure(nil, _): "is told to end"
        case .configure: "is configured"
        case .interface(let interface, let isUp): "\(interface) is \(isUp ? "up" : "down")"
        case .packet(let packet): "\(packet.interface) hears \(packet.source) > \(packet.destination) \(summary(packet.bytes))"
        case .redistribute(let updates):
            "announces for others: "
                + updates.map { "\($0.prefix)\($0.route == nil ? " no longer" : "")" }.joined(separator: ", ")
        case .bfd(let peer, let isUp): "BFD says that \(peer) is \(isUp ? "up" : "down")"
        case .fault(let packet, let message): "was killed by \(summary(packet.bytes)), part \(message)"
        case .redundancy(let isRedundant): isRedundant ? "has a standby" : "has no standby"
        case .clear(let neighbor): "clears \(neighbor ?? "everything")"
        case .time: nil
        }
    }
}

extension InteriorGatewayEffect {
    /// - Parameter summary: what a packet says.
    public func lines(_ summary: ([UInt8]) -> String) -> [String] {
        switch self {
        case .send(let packet):
            ["> \(packet.interface) \(packet.source) > \(packet.destination) \(summary(packet.bytes))"]
                + StepRecorder.octets(packet.bytes)
        case .subscriptions(let list):
            list.map { "wants \($0.packetProtocol) on \($0.interface) to \($0.groups.map { "\($0)" }.joined(separator: ", "))" }
        case .routes(let updates):
            updates.map { update in
                guard let offer = update.offer else { return "route \(update.prefix) is gone" }
                return "route \(update.prefix) metric \(offer.metric) kind \(offer.kind) distance \(offer.distance): "
                    + offer.nextHops.map { "\($0)" }.joined(separator: ", ")
            }
        case .bfd(let peer, let isWanted): ["\(isWanted ? "wants" : "no longer wants") BFD with \(peer)"]
        case .event(let event): ["event \(event)"]
        }
    }
}
