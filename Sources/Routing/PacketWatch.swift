import Machine
import Wire

/// Where an interior gateway protocol is within a packet, and octets that are said to be fatal to it. No part of the state:
/// the digest, the snapshot and what the protocol does are the same with any of it.
public struct PacketWatch: Sendable {
    /// Where the number of the LSA or entry within the packet is noted, from 1, so that a signal handler can tell which one
    /// was fatal. 0: none in particular.
    public var progress = ProgressMark()
    /// Failure injection, for a world that has many routers in one process: a packet that ends with the first, or an LSA,
    /// LSP or entry that contains the second, would have ended the process.
    public var fatalEnding: [UInt8] = []
    public var fatalContent: [UInt8] = []
    /// Something of the kind was looked into.
    public private(set) var hasMetTrap = false
    /// Which LSA or entry of the packet it was, from 1; 0 where that is not known.
    public private(set) var trapMessage = 0

    public init() {}

    /// The protocol is about to look into the LSA, LSP or entry with these octets, the `number`th of its packet.
    @inline(__always)
    public mutating func begins(_ number: Int, _ octets: @autoclosure () -> ArraySlice<UInt8>) {
        progress.note(UInt64(number))
        if !fatalContent.isEmpty { look(number, octets()) }
    }

    /// It has looked into all of them.
    @inline(__always)
    public func ends() { progress.note(0) }

    /// It is about to look into the rest of a packet.
    public mutating func begins(packet: [UInt8]) {
        guard !fatalEnding.isEmpty, packet.count >= fatalEnding.count else { return }
        if packet[(packet.count - fatalEnding.count)...].elementsEqual(fatalEnding) { meet(0) }
    }

    private mutating func look(_ number: Int, _ octets: ArraySlice<UInt8>) {
        let count = fatalContent.count
        guard octets.count >= count else { return }
        for start in octets.startIndex...(octets.endIndex - count)
        where octets[start] == fatalContent[0] && octets[start..<(start + count)].elementsEqual(fatalContent) {
            return meet(number)
        }
    }

    private mutating func meet(_ number: Int) {
        guard !hasMetTrap else { return }
        hasMetTrap = true
        trapMessage = number
    }
}
