import Machine
import Records
import Routing
import Wire

/// Where PDUs come in: checks that all of them share, then each to its room.
extension ISISInstance {
    mutating func receive(_ packet: ReceivedPacket, at now: Instant, into effects: inout [Effect]) {
        counters.received &+= 1
        let number = Int(packet.interface.value)
        guard packet.packetProtocol == .isis, let circuit = circuit(number), circuit.isActive,
            case .station(let station) = packet.source
        else { return counters.count(.notConfigured) }
        // Our own frames, come back by a hub or a loop.
        guard station != circuit.station else { return counters.count(.ownSystemID) }
        let pdu = packet.bytes.span.bytes
        var reader = ByteReader(pdu)
        let type: PDUType
        do {
            type = try PDUHeader.decode(&reader)
        } catch {
            return counters.count(reason(error))
        }
        if let level = type.level, !circuit.levels.contains(level) { return counters.count(.wrongLevel) }
        switch type {
        case .level1LANHello, .level2LANHello:
            guard circuit.isBroadcast else { return counters.count(.wrongCircuitType) }
            do {
                receive(try LANHello(pdu), pdu, from: station, on: circuit, at: now, into: &effects)
            } catch {
                counters.count(reason(error))
            }
        case .pointToPointHello:
            guard !circuit.isBroadcast else { return counters.count(.wrongCircuitType) }
            do {
                receive(try PointToPointHello(pdu), pdu, from: station, on: circuit, at: now, into: &effects)
            } catch {
                counters.count(reason(error))
            }
        case .level1LSP, .level2LSP:
            do {
                receive(try LSPHeader(pdu), packet.bytes, from: station, on: circuit, at: now, into: &effects)
            } catch {
                counters.count(reason(error))
            }
        case .level1CSNP, .level2CSNP:
            do {
                receive(try CSNP(pdu), pdu, from: station, on: circuit, at: now, into: &effects)
            } catch {
                counters.count(reason(error))
            }
        case .level1PSNP, .level2PSNP:
            do {
                receive(try PSNP(pdu), pdu, from: station, on: circuit, at: now, into: &effects)
            } catch {
                counters.count(reason(error))
            }
        }
    }

    private func reason(_ error: DecodeError) -> ISISDrop {
        if error.reason == .badChecksum { return .checksum }
        guard error.reason == .unsupported else { return .malformed }
        switch error.field.description {
        case "ID length": return .idLength
        case "maximum area addresses": return .maximumAreas
        default: return .unsupportedType
        }
    }

    /// The packet that killed the other controller is not looked into; whoever sent it starts anew.
    mutating func fault(_ packet: ReceivedPacket, at now: Instant, into effects: inout [Effect]) {
        counters.count(.quarantined)
        let number = Int(packet.interface.value)
        guard let circuit = circuit(number), case .station(let station) = packet.source else { return }
        for adjacency in circuit.adjacencies.reversed() where adjacency.station == station {
            lose(adjacency, number, reason: "a packet of it was fatal to the other controller", at: now, into: &effects)
        }
    }

    /// The operator's word: adjacencies end and form anew by the next hellos.
    mutating func clear(neighbor: String?, at now: Instant, into effects: inout [Effect]) {
        for number in circuits.indices {
            guard let circuit = circuits[number] else { continue }
            for adjacency in circuit.adjacencies.reversed() where neighbor.map({ matches(adjacency, $0) }) ?? true {
                lose(adjacency, number, reason: "cleared by the operator", at: now, into: &effects)
            }
        }
    }

    /// By system identifier, host name, station or address.
    private func matches(_ adjacency: Adjacency, _ name: String) -> Bool {
        if adjacency.system.description == name || adjacency.station.description == name { return true }
        if adjacency.ipv4.contains(where: { $0.description == name }) { return true }
        if adjacency.ipv6.contains(where: { $0.description == name }) { return true }
        return hostname(adjacency.system) == name
    }
}
