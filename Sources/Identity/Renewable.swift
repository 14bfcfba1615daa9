import Synchronization

/// Something made from files that may be read again while it is in use: whoever needs it takes it anew each time.
public final class Renewable<Value: Sendable>: Sendable {
    private let state: Mutex<Value>

    public init(_ value: Value) { state = Mutex(value) }

    public var value: Value { state.withLock { $0 } }
    public func renew(_ value: Value) { state.withLock { $0 = value } }
}
