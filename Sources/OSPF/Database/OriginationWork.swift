import Machine
import Records
import Routing
import Wire

/// What of our own LSAs has to be looked at again. Small lists, sorted, so that the work follows what changed and its
/// order is the same on both controllers.
struct OriginationWork: Hashable, Sendable {
    /// Area IDs, ascending: router LSAs and what else is the area's.
    private(set) var areas: [UInt32] = []
    /// Interfaces, ascending: network, link and intra-area prefix LSAs.
    private(set) var links: [InterfaceID] = []
    /// The configuration changed, or the state of something that touches everything.
    private(set) var isEverything = false
    /// Routes changed that summaries tell of.
    var summaries = false
    /// What externals tell of changed, or where they belong.
    var externals = false
    /// Waiting for `OSPFLSATimers.initialDelay`.
    var isDelayed = false
    /// That wait is over.
    private(set) var isWaitOver = false

    mutating func endWait() {
        isDelayed = false
        isWaitOver = true
    }

    var isEmpty: Bool { !isTopology && !summaries && !externals }
    /// Whether our own links, or what is said of them, changed.
    var isTopology: Bool { !areas.isEmpty || !links.isEmpty || isEverything }

    mutating func link(_ id: InterfaceID, area: UInt32) {
        let at = links.firstIndex { $0 >= id } ?? links.count
        if at == links.count || links[at] != id { links.insert(id, at: at) }
        let place = areas.firstIndex { $0 >= area } ?? areas.count
        if place == areas.count || areas[place] != area { areas.insert(area, at: place) }
    }

    mutating func everything() { isEverything = true }

    mutating func take() -> OriginationWork {
        let taken = self
        self = OriginationWork()
        return taken
    }

    func write(to writer: inout SnapshotWriter) {
        writer.writeBlock(areas)
        writer.writeBlock(links.map(\.value))
        writer.write(isEverything)
        writer.write(summaries)
        writer.write(externals)
        writer.write(isDelayed)
        writer.write(isWaitOver)
    }
    init() {}
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        areas = try reader.readBlock(of: UInt32.self)
        links = try reader.readBlock(of: UInt16.self).map { InterfaceID($0) }
        isEverything = try reader.readBool()
        summaries = try reader.readBool()
        externals = try reader.readBool()
        isDelayed = try reader.readBool()
        isWaitOver = try reader.readBool()
    }
}
