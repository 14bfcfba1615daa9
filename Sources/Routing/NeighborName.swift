import Wire

/// A neighbour as an operator names it. Addresses are compared as values, whatever their spelling; `%` and the name of an
/// interface may follow one, as link-local addresses are written.
public struct NeighborName: Hashable, Sendable {
    public let text: String
    /// `nil` for a name that is no address.
    public let address: IPAddress?
    /// Behind `%`; `nil`: on any interface.
    public let interface: String?

    public init(_ text: String) {
        self.text = text
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, let address = IPAddress(parts[0]) {
            self.address = address
            interface = String(parts[1])
        } else {
            address = IPAddress(text)
            interface = nil
        }
    }

    /// Whether it names who has this address on the interface of this name.
    public func matches(_ address: IPAddress, on interface: String?) -> Bool {
        address == self.address && (self.interface == nil || self.interface == interface)
    }
}
