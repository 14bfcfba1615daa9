import Machine
import Records
import Wire

/// The raw routing protocols: their packets go to the engine whole, and leave as the engine wrote them.
extension LineCard {
    mutating func send(_ packet: OutgoingPacket, at now: Instant, into effects: inout [LineCardEffect]) {
    }
}
