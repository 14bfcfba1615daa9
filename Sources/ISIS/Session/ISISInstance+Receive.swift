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
        // Whoever was fatal is not heard before somebody could survive it.
        if !fatal.isEmpty, fatal.isHeld(packet.source, on: packet.interface, at: now) {
            return counters.count(.quarantined)
        }
        let isFatal = !fatal.isEmpty && isFatal(packet, at: now)
        if !isFatal { watch.begins(packet: packet.bytes) }
        let pdu = packet.bytes.span.bytes
        var reader = ByteReader(pdu)
        let type: PDUType
        do {
            type = try PDUHeader.decode(&reader)
        } catch {
            return counters.count(reason(error))
        }
        if let level = type.level, !circuit.levels.contains(level) { return counters.count(.wrongLevel) }
        guard !isFatal else {
            return refuseFatal(packet, type, from: station, on: circuit, at: now, into: &effects)
        }
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
            watch.begins(0, packet.bytes[...])
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
}
