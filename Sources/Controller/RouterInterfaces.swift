import Records
import Wire

/// The router's interfaces as this controller's engine has named them last, and what is asked of them for every frame.
struct RouterInterfaces {
    private(set) var list: [InterfaceConfiguration] = []
    /// The virtual address of each.
    private var ownMACs: [UInt64] = []
    /// Which of them carry no beats.
    private var quiet: [Bool] = []

    init() {}

    /// - Parameter quietNames: those on which the pair says nothing of itself.
    init(_ list: [InterfaceConfiguration], quietNames: Set<String>) {
        self.list = list
        ownMACs = list.map(\.virtualMAC.raw)
        quiet = list.map { $0.isLoopback || quietNames.contains($0.name) }
    }

    var count: Int { list.count }
    var isEmpty: Bool { list.isEmpty }

    /// What operators call an interface.
    func name(of interface: InterfaceID) -> String {
        let i = Int(interface.value)
        return i < list.count ? list[i].name : "\(interface)"
    }

    /// 0: untagged, or not known yet.
    func vlan(of i: Int) -> UInt16 { i < list.count ? list[i].vlan : 0 }

    /// Whether the pair's beats go out on an interface. Before the interfaces are known they do.
    func advertises(on i: Int) -> Bool { i >= quiet.count || !quiet[i] }

    /// Whether a frame bears the router's own address as its source: we do not hear what we send.
    func areSource(of frame: RawSpan, on interface: InterfaceID) -> Bool {
        let i = Int(interface.value)
        guard i < ownMACs.count, frame.byteCount >= 14 else { return false }
        let word = unsafe UInt64(bigEndian: frame.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt64.self))
        return word & 0xffff_ffff_ffff == ownMACs[i]
    }
}
