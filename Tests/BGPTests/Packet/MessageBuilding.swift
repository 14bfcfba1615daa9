import BGP
import Wire

/// Octets of messages put together by hand, so that tests can also say what no encoder would.
enum Build {
    static func message(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
        let length = body.count + 19
        return Array(repeating: 0xff, count: 16) + [UInt8(length >> 8), UInt8(length & 255), type] + body
    }
    /// The body of an UPDATE.
    static func update(withdrawn: [UInt8] = [], attributes: [UInt8] = [], nlri: [UInt8] = []) -> [UInt8] {
        u16(withdrawn.count) + withdrawn + u16(attributes.count) + attributes + nlri
    }
    static func attribute(_ flags: UInt8, _ type: UInt8, _ value: [UInt8]) -> [UInt8] {
        value.count > 255 || flags & 0x10 != 0
            ? [flags | 0x10, type] + u16(value.count) + value : [flags, type, UInt8(value.count)] + value
    }
    static func u16(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
    static func u32(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) } }

    static let origin = attribute(0x40, 1, [0])
    static func path4(_ numbers: UInt32...) -> [UInt8] {
        attribute(0x40, 2, [2, UInt8(numbers.count)] + numbers.flatMap { u32($0) })
    }
    static func path2(_ numbers: UInt16...) -> [UInt8] {
        attribute(0x40, 2, [2, UInt8(numbers.count)] + numbers.flatMap { u16(Int($0)) })
    }
    static let nextHop = attribute(0x40, 3, [10, 0, 0, 2])
    static let localPref = attribute(0x40, 5, [0, 0, 0, 100])
    /// 192.0.2.0/24
    static let nlri: [UInt8] = [24, 192, 0, 2]
    /// 2001:db8::/32
    static let nlri6: [UInt8] = [32, 0x20, 0x01, 0x0d, 0xb8]
    static let nextHop6: [UInt8] = [0x20, 0x01, 0x0d, 0xb8] + Array(repeating: 0, count: 11) + [2]
    static func reach6(_ nlri: [UInt8], nextHop: [UInt8] = nextHop6, flags: UInt8 = 0x80) -> [UInt8] {
        attribute(flags, 14, [0, 2, 1, UInt8(nextHop.count)] + nextHop + [0] + nlri)
    }
    static func unreach6(_ nlri: [UInt8]) -> [UInt8] { attribute(0x80, 15, [0, 2, 1] + nlri) }

    static func context(
        fourOctetAS: Bool = true, isInternal: Bool = false, families: RouteFamilySet = [.ipv4Unicast, .ipv6Unicast]
    ) -> UpdateContext {
        UpdateContext(
            routerAS: ASNumber(65000), fourOctetAS: fourOctetAS, isInternal: isInternal, families: families)
    }
}

/// What an UPDATE came to, in words that a table can hold.
enum Outcome: Equatable, CustomStringConvertible {
    case accepted
    case discard
    case withdraw
    case disable(RouteFamily)
    case reset(UInt8, UInt8, [UInt8])

    /// Takes a message through view and attributes like the instance does.
    static func of(
        _ body: [UInt8], _ context: UpdateContext = Build.context(), attributes: inout PathAttributes
    ) -> Outcome {
        do {
            let update = try UpdateMessage(body: body.span.bytes, context: context)
            if let disabling = update.disabling { return of(disabling) }
            var block: [UInt8] = []
            update.gatherBlock(into: &block)
            if update.isBlockContiguous { precondition([UInt8](copying: update.block) == block) }
            let fault = update.handling(
                of: attributes.decode(
                    block: block.span.bytes, context: context, hasReachableNLRI: update.hasReachableNLRI))
            let missing = update.missingAttribute(in: attributes)
            guard let fault = [fault, missing].compactMap({ $0 }).max(by: { rank($0) < rank($1) }) else {
                return .accepted
            }
            return of(fault)
        } catch {
            return .reset(error.code, error.subcode, error.data)
        }
    }
    static func of(_ body: [UInt8], _ context: UpdateContext = Build.context()) -> Outcome {
        var attributes = PathAttributes()
        return of(body, context, attributes: &attributes)
    }
    private static func rank(_ fault: AttributeFault) -> Int {
        switch fault.handling {
        case .attributeDiscard: 0
        case .treatAsWithdraw: 1
        case .disableAddressFamily: 2
        case .sessionReset: 3
        }
    }
    private static func of(_ fault: AttributeFault) -> Outcome {
        switch fault.handling {
        case .attributeDiscard: .discard
        case .treatAsWithdraw: .withdraw
        case .disableAddressFamily(let family): .disable(family)
        case .sessionReset(let n): .reset(n.code, n.subcode, n.data)
        }
    }
    var description: String {
        switch self {
        case .accepted: "accepted"
        case .discard: "attribute discard"
        case .withdraw: "treat as withdraw"
        case .disable(let family): "disable \(family)"
        case .reset(let code, let subcode, let data): "reset \(code)/\(subcode) \(data)"
        }
    }
}
