import Records

/// Which events to read.
public struct EventSelection: Hashable, Sendable {
    /// `nil`: of both.
    public var controller: ControllerID?
    /// Only greater numbers. Numbers are each controller's own, so use it together with `controller`.
    public var after: UInt64?
    /// This one and worse.
    public var severity: Event.Severity
    public var component: String?
    public var limit: Int

    public init(
        controller: ControllerID? = nil, after: UInt64? = nil, severity: Event.Severity = .debug,
        component: String? = nil, limit: Int = 100
    ) {
        self.controller = controller
        self.after = after
        self.severity = severity
        self.component = component
        self.limit = limit
    }

    func selects(_ entry: EventEntry) -> Bool {
        (controller == nil || controller == entry.controller) && entry.number > after ?? 0
            && entry.event.severity >= severity && (component == nil || component == entry.event.component)
    }
}
