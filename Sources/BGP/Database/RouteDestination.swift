import Routing
import Wire

/// Where routes of some family lead: a prefix of addresses, the first digits of telephone numbers. In views it stands for
/// a key of the family's table, whose type nobody outside needs to know.
public struct RouteDestination: Hashable, Sendable, Codable, CustomStringConvertible {
    public let family: RouteFamily
    /// As NLRI, with label 0 where there are labels.
    let nlri: [UInt8]
    /// As operators write it: `10.0.0.0/8`, `+4930`.
    public let description: String

    /// Of the family of unicast.
    public init(_ prefix: IPPrefix) {
        family = RouteFamily(prefix.family)
        nlri = RIB.nlri(prefix)
        description = prefix.description
    }

    /// Parses what an operator writes; `nil` when it is none of the family's destinations.
    public init?(_ family: RouteFamily, _ text: String) {
        func parse<Family: RoutedFamily>(_: Family.Type) -> RouteDestination? {
            Family.key(text).map { RouteDestination(Family.self, $0) }
        }
        guard let parsed = parse(family.type) else { return nil }
        self = parsed
    }

    init<Family: RoutedFamily>(_: Family.Type, _ key: Family.Key) {
        family = Family.family
        var octets = [UInt8](repeating: 0, count: Family.sizeMaximum)
        let size = unsafe octets.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            return unsafe Family.write(key.packed, label: 0, to: base)
        }
        nlri = Array(octets[..<size])
        description = key.description
    }

    /// `nil` when it is a destination of another family.
    func key<Family: RoutedFamily>(of _: Family.Type) -> Family.Key? {
        guard family == Family.family, !nlri.isEmpty else { return nil }
        return Family.read(nlri.span.bytes, at: 0).map { Family.Key(packed: $0.key) }
    }

    /// `nil` when it is no prefix of addresses.
    public var prefix: IPPrefix? {
        func read<Family: RoutedFamily>(_: Family.Type) -> IPPrefix? {
            key(of: Family.self).flatMap { Family.prefix($0.packed) }
        }
        return read(family.type)
    }
}
