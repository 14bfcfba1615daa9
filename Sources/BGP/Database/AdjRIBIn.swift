import Machine
import Wire

/// A route of one source to one destination: an entry of Adj-RIB-In (RFC 4271 §3.2). 16 octets.
struct Path: BitwiseCopyable, Sendable {
    /// Number in the prefix table.
    var prefix: UInt32
    /// The next path to the same prefix, 0 for none; in a free entry the next free one of the same source.
    var next: UInt32
    /// Attributes as received, before policy; 0 in a free entry.
    var received: UInt32
    /// Attributes after import policy; 0: rejected.
    var accepted: UInt32
}

/// What tells a path from others of its source to the same destination, and what it carries besides attributes. 8 octets.
struct PathIdentity: BitwiseCopyable, Sendable, Equatable {
    /// RFC 7911 §3: the identifier that the neighbour gave it; 0 from one that gives none.
    var id: UInt32
    /// RFC 8277 §2.2: 20 bits; 0 in families without labels. Twelve bits are free.
    var label: UInt32
    static let none = PathIdentity(id: 0, label: 0)

    /// 0 for `none`.
    @inline(__always) var hash: UInt64 { self == .none ? 0 : mix64(UInt64(id) << 32 | UInt64(label)) }
}

/// The Adj-RIBs-In of a family (RFC 4271 §3.2): all paths in pages of 256 that belong to one source each. The page says
/// whose path it is, so that a path need not; and what a source sent can be walked without a list of its own.
///
/// A path is known by its source and identifier (RFC 7911 §2). As long as nobody gives identifiers, which is the rule,
/// and there are no labels either, neither takes room.
///
/// Stale paths (RFC 4724 §4.2, RFC 7313 §4) are those of a generation of their source before the one that it is in: to mark
/// all of them is to begin another. Generations are counted modulo 256, and take no room before the first mark.
struct AdjRIBIn: Sendable {
    static let pageBits: UInt32 = 8
    static let pageSize = 1 << Int(pageBits)
    static let nobody = UInt16.max

    /// What a source has here. 20 octets.
    struct Holding: BitwiseCopyable, Sendable {
        /// First page + 1.
        var firstPage: UInt32 = 0
        /// First free path of its pages.
        var free: UInt32 = 0
        var count: UInt32 = 0
        /// How many of them are stale.
        var stale: UInt32 = 0
        /// 0…255, in which what it announces now is.
        fileprivate(set) var generation: UInt16 = 0
        /// Marks since the last time that no path was stale: generations that may be in use besides.
        fileprivate(set) var marks: UInt16 = 0
        /// More paths than this are not taken; 0: there is no such limit.
        var maximum: UInt32 = 0
    }
    /// More marks than this without an end between are refused by `canMark`; each session adds two of its own.
    private static let marksMaximum: UInt16 = 128

    var paths: [Path]
    /// By path; empty while every path's is `none`.
    private(set) var identities: [PathIdentity] = []
    /// By path; empty while every source is in its first generation.
    private var generations: [UInt8] = []
    private(set) var owners: [UInt16]
    /// Per page the next one of the same owner + 1, or of the free pages.
    private var nextPage: [UInt32]
    private var freePage: UInt32 = 0
    private(set) var holdings: [Holding] = []

    init() {
        // Number 0 means none: the first page is nobody's.
        paths = [Path](repeating: Path(prefix: 0, next: 0, received: 0, accepted: 0), count: Self.pageSize)
        owners = [Self.nobody]
        nextPage = [0]
    }

    @inline(__always) func owner(_ path: UInt32) -> UInt16 { owners[Int(path >> Self.pageBits)] }
    @inline(__always)
    func identity(_ path: UInt32) -> PathIdentity { identities.isEmpty ? .none : identities[Int(path)] }
    /// Whether the path is the one that `source` calls `id`.
    @inline(__always)
    func isPath(_ path: UInt32, of source: UInt16, _ id: UInt32) -> Bool {
        owner(path) == source && (identities.isEmpty || identities[Int(path)].id == id)
    }
    /// Identifiers or labels come from now on.
    mutating func keepIdentities() {
        if identities.isEmpty { identities = [PathIdentity](repeating: .none, count: paths.count) }
    }
    @inline(__always)
    mutating func setIdentity(_ path: UInt32, _ identity: PathIdentity) {
        if !identities.isEmpty { identities[Int(path)] = identity }
    }

    mutating func reserve(sources: Int) {
        while holdings.count < sources { holdings.append(Holding()) }
    }
    /// There was never a path.
    var isUnused: Bool { owners.count == 1 }
    func count(_ source: Int) -> Int { source < holdings.count ? Int(holdings[source].count) : 0 }
    /// Sets how many paths of a source are taken.
    mutating func setMaximum(_ maximum: UInt32, of source: Int) {
        reserve(sources: source + 1)
        holdings[source].maximum = maximum
    }
    @inline(__always) func isFull(_ source: Int) -> Bool {
        holdings[source].maximum != 0 && holdings[source].count >= holdings[source].maximum
    }

    /// A place for a path of `source`; the caller fills it.
    @inline(__always)
    mutating func allocate(_ source: Int) -> UInt32 {
        if holdings[source].free == 0 { addPage(source) }
        let path = holdings[source].free
        holdings[source].free = paths[Int(path)].next
        holdings[source].count &+= 1
        if !generations.isEmpty { generations[Int(path)] = UInt8(truncatingIfNeeded: holdings[source].generation) }
        return path
    }

    // MARK: stale paths

    /// How many generations of its source began since the path was announced.
    @inline(__always)
    private func age(_ path: UInt32) -> UInt8 {
        UInt8(truncatingIfNeeded: holdings[Int(owner(path))].generation) &- generations[Int(path)]
    }
    @inline(__always) func isStale(_ path: UInt32) -> Bool { !generations.isEmpty && age(path) != 0 }
    func staleCount(_ source: Int) -> Int { source < holdings.count ? Int(holdings[source].stale) : 0 }
    func generation(_ source: Int) -> UInt16 { source < holdings.count ? holdings[source].generation : 0 }

    /// The path is announced again, or another one in its place.
    @inline(__always)
    mutating func renew(_ path: UInt32) {
        if isStale(path) { renewStale(path) }
    }
    private mutating func renewStale(_ path: UInt32) {
        let source = Int(owner(path))
        generations[Int(path)] = UInt8(truncatingIfNeeded: holdings[source].generation)
        holdings[source].stale &-= 1
    }

    /// Whether somebody from outside may ask for another mark.
    func canMark(_ source: Int) -> Bool {
        source >= holdings.count || holdings[source].stale == 0 || holdings[source].marks < Self.marksMaximum
    }
    /// All paths of the source are stale from here on.
    mutating func mark(_ source: Int) {
        guard source < holdings.count, holdings[source].count > 0 else { return }
        if generations.isEmpty { generations = [UInt8](repeating: 0, count: paths.count) }
        if holdings[source].stale == 0 { holdings[source].marks = 0 }
        holdings[source].marks += 1
        holdings[source].generation = (holdings[source].generation + 1) & 0xff
        holdings[source].stale = holdings[source].count
    }
    /// Whether the path is older than that generation of its source.
    @inline(__always)
    func isOlder(_ path: UInt32, than generation: UInt16) -> Bool {
        if generations.isEmpty { return false }
        let now = UInt8(truncatingIfNeeded: holdings[Int(owner(path))].generation)
        return age(path) > now &- UInt8(truncatingIfNeeded: generation)
    }

    private mutating func addPage(_ source: Int) {
        let page: UInt32
        if freePage != 0 {
            page = freePage - 1
            freePage = nextPage[Int(page)]
        } else {
            page = UInt32(owners.count)
            precondition(page < 1 << 24, "a family holds at most 2^32 paths")
            owners.append(Self.nobody)
            nextPage.append(0)
            paths.append(contentsOf: repeatElement(Path(prefix: 0, next: 0, received: 0, accepted: 0), count: Self.pageSize))
            if !identities.isEmpty {
                identities.append(contentsOf: repeatElement(PathIdentity.none, count: Self.pageSize))
            }
            if !generations.isEmpty { generations.append(contentsOf: repeatElement(0, count: Self.pageSize)) }
        }
        owners[Int(page)] = UInt16(source)
        nextPage[Int(page)] = holdings[source].firstPage
        holdings[source].firstPage = page + 1
        let first = page << Self.pageBits
        for i in 0..<UInt32(Self.pageSize) {
            let isLast = i == UInt32(Self.pageSize) - 1
            paths[Int(first + i)] = Path(prefix: 0, next: isLast ? 0 : first + i + 1, received: 0, accepted: 0)
        }
        holdings[source].free = first
    }

    /// Frees a path that is in nobody's chain any more. Pages go back when the source's last path is gone.
    mutating func free(_ path: UInt32) {
        let source = Int(owner(path))
        renew(path)
        paths[Int(path)] = Path(prefix: 0, next: holdings[source].free, received: 0, accepted: 0)
        holdings[source].free = path
        holdings[source].count -= 1
        if holdings[source].count > 0 { return }
        var page = holdings[source].firstPage
        while page != 0 {
            let number = Int(page - 1)
            let next = nextPage[number]
            owners[number] = Self.nobody
            nextPage[number] = freePage
            freePage = page
            page = next
        }
        let before = holdings[source]
        holdings[source] = Holding()
        holdings[source].generation = before.generation
        holdings[source].maximum = before.maximum
    }

    /// First page of a source + 1, for a walk; 0 when it has none.
    func firstPage(_ source: Int) -> UInt32 { source < holdings.count ? holdings[source].firstPage : 0 }
    /// Page after `page` (both + 1), as long as the page is still the source's; 0 at the end.
    func pageAfter(_ page: UInt32, _ source: Int) -> UInt32 {
        owners[Int(page - 1)] == UInt16(source) ? nextPage[Int(page - 1)] : 0
    }
    func isPage(_ page: UInt32, of source: Int) -> Bool { page != 0 && owners[Int(page - 1)] == UInt16(source) }
}

extension AdjRIBIn: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.writeBlock(paths)
        writer.writeBlock(identities)
        writer.writeBlock(generations)
        writer.writeBlock(owners)
        writer.writeBlock(nextPage)
        writer.write(freePage)
        writer.writeBlock(holdings)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        paths = try reader.readBlock(of: Path.self)
        identities = try reader.readBlock(of: PathIdentity.self)
        generations = try reader.readBlock(of: UInt8.self)
        owners = try reader.readBlock(of: UInt16.self)
        nextPage = try reader.readBlock(of: UInt32.self)
        freePage = try reader.read()
        holdings = try reader.readBlock(of: Holding.self)
        let refused = DecodeError("paths", at: reader.position, .badValue)
        guard !owners.isEmpty, paths.count == owners.count << Int(Self.pageBits), nextPage.count == owners.count,
            Int(freePage) <= owners.count, identities.isEmpty || identities.count == paths.count,
            generations.isEmpty || generations.count == paths.count
        else { throw refused }
        for page in nextPage where Int(page) > owners.count { throw refused }
        for owner in owners where owner != Self.nobody && Int(owner) >= holdings.count { throw refused }
        for h in holdings {
            guard Int(h.firstPage) <= owners.count, Int(h.free) < paths.count, h.stale <= h.count, h.generation < 256,
                !generations.isEmpty || h.generation == 0 && h.stale == 0
            else { throw refused }
        }
        for path in paths where Int(path.next) >= paths.count { throw refused }
    }
}
