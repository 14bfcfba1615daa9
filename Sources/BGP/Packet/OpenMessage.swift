import Wire

/// What an OPEN offers (RFC 5492). Unknown capabilities are kept by number only, for display.
public struct Capabilities: Hashable, Sendable, Codable {
    /// RFC 4760 §8, those that this release carries.
    public var families: RouteFamilySet = []
    /// Those that it does not, ascending, without repetition, at most `otherFamiliesMaximum`: for display.
    public var otherFamilies: [FamilyCode] = []
    /// Whether there was any multiprotocol capability; without one the session is for IPv4 unicast.
    public var hasMultiprotocol = false
    /// RFC 2918
    public var routeRefresh = false
    /// RFC 7313
    public var enhancedRouteRefresh = false
    /// RFC 8654
    public var extendedMessages = false
    /// RFC 6793
    public var fourOctetAS: ASNumber?
    /// RFC 7911 §4: families of which whoever says this can take several paths of a prefix, and those of which it can send
    /// them.
    public var receivesPathIDs: RouteFamilySet = []
    public var sendsPathIDs: RouteFamilySet = []
    /// RFC 8950 §4: families whose routes may have an IPv6 next hop though their own are IPv4.
    public var ipv6NextHops: RouteFamilySet = []
    /// RFC 9234 §4.1: values of the Role capabilities, ascending, without repetition. A sound speaker has one at most.
    public var roles: [UInt8] = []
    /// RFC 4724 §3
    public var gracefulRestart: GracefulRestart?
    /// RFC 9494 §3.1; without `gracefulRestart` it means nothing (§4.5).
    public var longLivedGracefulRestart: LongLivedGracefulRestart?
    /// Codes of the others, ascending, without repetition.
    public var others: [UInt8] = []

    /// RFC 4724 §3, with the flag of RFC 8538 §2.
    public struct GracefulRestart: Hashable, Sendable, Codable {
        /// Restart State: whoever says this has restarted.
        public var isRestarting: Bool
        /// Graceful Notification: sessions that end with a NOTIFICATION, or in silence, are restarts, too.
        public var hasNotification: Bool
        /// Restart Time: seconds, 0…4095.
        public var time: UInt16
        /// Families whose forwarding state outlives a restart. None: whoever says this only helps others.
        public var families: RouteFamilySet
        /// Forwarding State: of these, the ones whose state did outlive the last one.
        public var forwarding: RouteFamilySet

        public init(
            isRestarting: Bool, time: UInt16, families: RouteFamilySet, forwarding: RouteFamilySet = [],
            hasNotification: Bool = false
        ) {
            self.isRestarting = isRestarting
            self.hasNotification = hasNotification
            self.time = time
            self.families = families
            self.forwarding = forwarding
        }
    }

    /// RFC 9494 §3.1
    public struct LongLivedGracefulRestart: Hashable, Sendable, Codable {
        public struct Family: Hashable, Sendable, Codable {
            public var family: RouteFamily
            /// Long-Lived Stale Time: seconds, 24 bits.
            public var time: UInt32
            /// The F bit: the state outlived the last restart.
            public var isPreserved: Bool
            public init(_ family: RouteFamily, time: UInt32, isPreserved: Bool) {
                self.family = family
                self.time = time
                self.isPreserved = isPreserved
            }
        }
        /// In ascending order, each once.
        public var families: [Family] = []
        public init() {}

        /// What is said of a family; of one that is not listed nothing.
        public subscript(family: RouteFamily) -> Family? { families.first { $0.family == family } }
        /// The last word of a family counts.
        mutating func set(_ entry: Family) {
            families.removeAll { $0.family == entry.family }
            families = (families + [entry]).sorted { $0.family < $1.family }
        }
    }

    public init() {}

    /// Far more than there are families in use anywhere.
    public static let otherFamiliesMaximum = 64

    /// RFC 4760 §8: one more family.
    mutating func add(_ code: FamilyCode) {
        if let family = RouteFamily(code) {
            families.insert(RouteFamilySet(family))
        } else if !otherFamilies.contains(code), otherFamilies.count < Self.otherFamiliesMaximum {
            otherFamilies = (otherFamilies + [code]).sorted()
        }
    }

    enum Code {
        static let multiprotocol: UInt8 = 1
        static let routeRefresh: UInt8 = 2
        static let extendedNextHop: UInt8 = 5
        static let extendedMessage: UInt8 = 6
        static let role: UInt8 = 9
        static let gracefulRestart: UInt8 = 64
        static let fourOctetAS: UInt8 = 65
        static let addPath: UInt8 = 69
        static let enhancedRouteRefresh: UInt8 = 70
        static let longLivedGracefulRestart: UInt8 = 71
    }

    /// RFC 4724 §3 and RFC 8538 §2: above the Restart Time.
    private enum RestartFlags {
        static let restarting: UInt16 = 0x8000
        static let notification: UInt16 = 0x4000
        static let time: UInt16 = 0x0fff
    }
    /// RFC 4724 §3 and RFC 9494 §3.1: the F bit of a family.
    private static let preserved: UInt8 = 0x80

    /// RFC 7911 §4, the field Send/Receive.
    private enum SendReceive {
        static let receive: UInt8 = 1
        static let send: UInt8 = 2
    }

    /// RFC 7911 §4: a tuple with another value of Send/Receive counts as not understood; the others beside it were meant. Its
    /// sender must say all families in one capability, so that a family twice is its mistake: the last word counts, as with
    /// BIRD.
    private mutating func readAddPath(_ value: inout ByteReader) throws(DecodeError) {
        while !value.isAtEnd {
            let afi = try value.u16("AFI")
            let safi = try value.u8("SAFI")
            let sendReceive = try value.u8("Send/Receive")
            guard let family = RouteFamily(afi: afi, safi: safi), (1...3).contains(sendReceive) else { continue }
            let set = RouteFamilySet(family)
            receivesPathIDs.subtract(set)
            sendsPathIDs.subtract(set)
            if sendReceive & SendReceive.receive != 0 { receivesPathIDs.insert(set) }
            if sendReceive & SendReceive.send != 0 { sendsPathIDs.insert(set) }
        }
    }

    /// RFC 4724 §3: a family twice is a mistake of which nothing is said: the last word counts.
    private mutating func readGracefulRestart(_ value: inout ByteReader) throws(DecodeError) {
        let word = try value.u16("restart flags and time")
        var restart = GracefulRestart(
            isRestarting: word & RestartFlags.restarting != 0, time: word & RestartFlags.time, families: [],
            hasNotification: word & RestartFlags.notification != 0)
        while !value.isAtEnd {
            let afi = try value.u16("AFI")
            let safi = try value.u8("SAFI")
            let flags = try value.u8("family flags")
            guard let family = RouteFamily(afi: afi, safi: safi) else { continue }
            let set = RouteFamilySet(family)
            restart.families.insert(set)
            restart.forwarding.subtract(set)
            if flags & Self.preserved != 0 { restart.forwarding.insert(set) }
        }
        gracefulRestart = restart
    }

    /// RFC 9494 §3.1
    private mutating func readLongLivedGracefulRestart(_ value: inout ByteReader) throws(DecodeError) {
        var restart = LongLivedGracefulRestart()
        while !value.isAtEnd {
            let afi = try value.u16("AFI")
            let safi = try value.u8("SAFI")
            let flags = try value.u8("family flags")
            let high = try value.u8("long-lived stale time")
            let time = UInt32(high) << 16 | UInt32(try value.u16("long-lived stale time"))
            guard let family = RouteFamily(afi: afi, safi: safi) else { continue }
            restart.set(.init(family, time: time, isPreserved: flags & Self.preserved != 0))
        }
        longLivedGracefulRestart = restart
    }

    /// RFC 8950 §4: only IPv4 families with IPv6 next hops may stand there; what else does is read over.
    private mutating func readExtendedNextHop(_ value: inout ByteReader) throws(DecodeError) {
        while !value.isAtEnd {
            let afi = try value.u16("NLRI AFI")
            let safi = try value.u16("NLRI SAFI")
            let nextHop = try value.u16("next hop AFI")
            guard nextHop == AddressFamily.ipv6.rawValue, let safi = UInt8(exactly: safi),
                let family = RouteFamily(afi: afi, safi: safi), family.canExtendNextHop
            else { continue }
            ipv6NextHops.insert(RouteFamilySet(family))
        }
    }

    /// The families that the session may use as far as this side is concerned.
    public var effectiveFamilies: RouteFamilySet { hasMultiprotocol ? families : .ipv4Unicast }

    /// Reads the capabilities of one optional parameter; several add up (RFC 5492 §4).
    ///
    /// Only a capability that does not fit into its parameter is malformed (RFC 4271 §6.2). For a value that has not the
    /// length which its code asks for no document knows an error, and a session refused helps nobody: where the code says
    /// all there is to say (RFC 2918 §2, RFC 8654 §3, RFC 7313 §3.1), the octets behind it are skipped; where the value was
    /// needed, the capability is as one that we do not know (RFC 5492 §3).
    mutating func read(_ reader: inout ByteReader) throws(DecodeError) {
        while !reader.isAtEnd {
            let code = try reader.u8("capability code")
            let length = Int(try reader.u8("capability length"))
            var value = try reader.reader(length, "capability value")
            switch code {
            case Code.multiprotocol where length == 4:
                let afi = try value.u16("AFI")
                _ = try value.u8("reserved")
                let safi = try value.u8("SAFI")
                hasMultiprotocol = true
                add(FamilyCode(afi: afi, safi: safi))
            case Code.routeRefresh: routeRefresh = true
            case Code.extendedMessage: extendedMessages = true
            case Code.enhancedRouteRefresh: enhancedRouteRefresh = true
            // RFC 8950 §4 and RFC 7911 §4: one triple or tuple at least, and nothing beside them.
            case Code.extendedNextHop where length > 0 && length % 6 == 0: try readExtendedNextHop(&value)
            case Code.addPath where length > 0 && length % 4 == 0: try readAddPath(&value)
            case Code.role where length == 1:
                // RFC 9234 §4.2: equal ones are one; different ones are seen where roles are compared.
                let role = try value.u8("BGP role")
                if !roles.contains(role) { roles = (roles + [role]).sorted() }
            case Code.fourOctetAS where length == 4:
                fourOctetAS = ASNumber(try value.u32("AS number"))
            // RFC 4724 §3: flags and time, then four octets for each family.
            // Of several capabilities the last one counts.
            case Code.gracefulRestart where length >= 2 && (length - 2) % 4 == 0: try readGracefulRestart(&value)
            case Code.longLivedGracefulRestart where length % 7 == 0: try readLongLivedGracefulRestart(&value)
            default:
                if !others.contains(code) { others = (others + [code]).sorted() }
            }
        }
    }

    /// RFC 9234 §4.2: whether this end, ours, may have a session with the other one as far as roles go.
    func agreesOnRole(with remote: Capabilities, isStrict: Bool) -> Bool {
        // Several that differ are refused whatever we are ourselves.
        if remote.roles.count > 1 { return false }
        guard let own = roles.first.flatMap(PeeringRole.init) else { return true }
        guard let other = remote.roles.first else { return !isStrict }
        return other == own.counterpart.rawValue
    }

    /// The capabilities as one run of tuples, in ascending order of code.
    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 32)
        if hasMultiprotocol {
            for code in RouteFamily.allCases.filter({ families.contains($0) }).map(\.code) + otherFamilies {
                writer.u8(Code.multiprotocol)
                writer.u8(4)
                writer.u16(code.afi)
                writer.u8(0)
                writer.u8(code.safi)
            }
        }
        func flag(_ code: UInt8, _ isOffered: Bool, _ writer: inout ByteWriter) {
            guard isOffered else { return }
            writer.u8(code)
            writer.u8(0)
        }
        flag(Code.routeRefresh, routeRefresh, &writer)
        let extended = RouteFamily.allCases.filter { ipv6NextHops.contains($0) }
        if !extended.isEmpty {
            writer.u8(Code.extendedNextHop)
            writer.u8(UInt8(6 * extended.count))
            for family in extended {
                writer.u16(family.afi)
                writer.u16(UInt16(family.safi))
                writer.u16(AddressFamily.ipv6.rawValue)
            }
        }
        flag(Code.extendedMessage, extendedMessages, &writer)
        for role in roles {
            writer.u8(Code.role)
            writer.u8(1)
            writer.u8(role)
        }
        if let gracefulRestart { Self.write(gracefulRestart, to: &writer) }
        if let fourOctetAS {
            writer.u8(Code.fourOctetAS)
            writer.u8(4)
            writer.u32(fourOctetAS.raw)
        }
        let several = RouteFamily.allCases.filter { receivesPathIDs.union(sendsPathIDs).contains($0) }
        if !several.isEmpty {
            writer.u8(Code.addPath)
            writer.u8(UInt8(4 * several.count))
            for family in several {
                writer.u16(family.afi)
                writer.u8(family.safi)
                writer.u8(
                    (receivesPathIDs.contains(family) ? SendReceive.receive : 0)
                        | (sendsPathIDs.contains(family) ? SendReceive.send : 0))
            }
        }
        flag(Code.enhancedRouteRefresh, enhancedRouteRefresh, &writer)
        if let longLivedGracefulRestart { Self.write(longLivedGracefulRestart, to: &writer) }
        return writer.bytes
    }

    private static func write(_ restart: GracefulRestart, to writer: inout ByteWriter) {
        let families = RouteFamily.allCases.filter { restart.families.contains($0) }
        writer.u8(Code.gracefulRestart)
        writer.u8(UInt8(2 + 4 * families.count))
        writer.u16(
            (restart.isRestarting ? RestartFlags.restarting : 0)
                | (restart.hasNotification ? RestartFlags.notification : 0) | restart.time & RestartFlags.time)
        for family in families {
            writer.u16(family.afi)
            writer.u8(family.safi)
            writer.u8(restart.forwarding.contains(family) ? Self.preserved : 0)
        }
    }

    private static func write(_ restart: LongLivedGracefulRestart, to writer: inout ByteWriter) {
        writer.u8(Code.longLivedGracefulRestart)
        writer.u8(UInt8(7 * restart.families.count))
        for entry in restart.families {
            writer.u16(entry.family.afi)
            writer.u8(entry.family.safi)
            writer.u8(entry.isPreserved ? Self.preserved : 0)
            writer.u8(UInt8(truncatingIfNeeded: entry.time >> 16))
            writer.u16(UInt16(truncatingIfNeeded: entry.time))
        }
    }
}

/// RFC 4271 §4.2
public struct OpenMessage: Hashable, Sendable, Codable {
    /// The two-octet field; AS_TRANS when the true number does not fit.
    public var asField: UInt16
    /// Seconds: 0, or 3 and more.
    public var holdTime: UInt16
    public var identifier: RouterID
    public var capabilities: Capabilities

    public init(asNumber: ASNumber, holdTime: UInt16, identifier: RouterID, capabilities: Capabilities) {
        asField = asNumber.twoOctets
        self.holdTime = holdTime
        self.identifier = identifier
        self.capabilities = capabilities
    }

    /// RFC 6793 §4.1: the capability's number where there is one.
    public var asNumber: ASNumber { capabilities.fourOctetAS ?? ASNumber(UInt32(asField)) }

    private enum Parameter {
        static let capabilities: UInt8 = 2
        /// RFC 9072 §2
        static let extendedLength: UInt8 = 255
    }

    /// Reads the body after the header and checks what can be checked without knowing the peer (RFC 4271 §6.2).
    public init(body: RawSpan) throws(NotificationMessage) {
        var reader = ByteReader(body)
        do {
            let version = try reader.u8("version")
            guard version == 4 else { throw NotificationMessage.open(.unsupportedVersionNumber, [0, 4]) }
            asField = try reader.u16("my autonomous system")
            holdTime = try reader.u16("hold time")
            identifier = RouterID(raw: try reader.u32("BGP identifier"))
            capabilities = Capabilities()
            // RFC 4271 §6.2 in the order of the fields. RFC 6286 §2.1: any identifier but zero.
            if holdTime == 1 || holdTime == 2 { throw NotificationMessage.open(.unacceptableHoldTime) }
            if identifier.raw == 0 { throw NotificationMessage.open(.badBGPIdentifier) }
            let shortLength = Int(try reader.u8("optional parameters length"))
            var isExtended = false
            var parameters: ByteReader
            if shortLength > 0, reader.remaining >= 3,
                reader.bytes.byteOffsetIs(Parameter.extendedLength, at: reader.position)
            {
                // RFC 9072 §2: the first "type" is 255, then the true length in two octets.
                isExtended = true
                _ = try reader.u8("extended marker")
                parameters = try reader.reader(Int(try reader.u16("extended parameters length")), "parameters")
            } else {
                parameters = try reader.reader(shortLength, "parameters")
            }
            try reader.expectEnd("OPEN")
            while !parameters.isAtEnd {
                let type = try parameters.u8("parameter type")
                let length =
                    isExtended ? Int(try parameters.u16("parameter length")) : Int(try parameters.u8("parameter length"))
                var value = try parameters.reader(length, "parameter value")
                guard type == Parameter.capabilities else {
                    throw NotificationMessage.open(.unsupportedOptionalParameter)
                }
                try capabilities.read(&value)
            }
        } catch let error as NotificationMessage {
            throw error
        } catch {
            // RFC 4271 §6.2: recognized but malformed.
            throw .open(.unspecific)
        }
        // RFC 7607 §2
        if asNumber == .zero { throw .open(.badPeerAS) }
    }

    /// The whole message.
    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 64)
        let at = writer.beginMessage(.open)
        writer.u8(4)
        writer.u16(asField)
        writer.u16(holdTime)
        writer.u32(identifier.raw)
        let tuples = capabilities.encoded
        // What we offer is far below the 253 octets from which RFC 9072 is needed.
        if tuples.isEmpty {
            writer.u8(0)
        } else {
            writer.u8(UInt8(tuples.count + 2))
            writer.u8(Parameter.capabilities)
            writer.u8(UInt8(tuples.count))
            writer.append(tuples)
        }
        writer.endMessage(at)
        return writer.bytes
    }
}

extension RawSpan {
    /// Whether the octet at `offset`, which exists, has this value.
    fileprivate func byteOffsetIs(_ value: UInt8, at offset: Int) -> Bool {
        unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self) == value
    }
}

/// What both ends agreed on.
public struct NegotiatedSession: Hashable, Sendable, Codable {
    /// RFC 4271 §4.2: the smaller of both, seconds; 0: no keepalives.
    public var holdTime: UInt16
    public var families: RouteFamilySet
    public var fourOctetAS: Bool
    public var routeRefresh: Bool
    public var extendedMessages: Bool
    /// RFC 7911 §5: families in which the neighbour's prefixes come with path identifiers, and those in which ours go with
    /// them: one end said that it sends, the other that it receives.
    public var receivesPathIDs: RouteFamilySet
    public var sendsPathIDs: RouteFamilySet
    /// RFC 8950 §4: families that may have IPv6 next hops in both directions, since both ends said so.
    public var ipv6NextHops: RouteFamilySet
    /// RFC 7313 §4: both ends mark the beginning and the end of a refresh.
    public var enhancedRouteRefresh: Bool
    /// RFC 4724: what the neighbour says of its restarts; `nil` unless both ends speak of them.
    public var gracefulRestart: Capabilities.GracefulRestart?
    /// RFC 8538 §4: both ends take a NOTIFICATION, or silence, for a restart.
    public var gracefulNotification: Bool
    /// RFC 9494: likewise, beside `gracefulRestart` only.
    public var longLivedGracefulRestart: Capabilities.LongLivedGracefulRestart?

    /// RFC 4271 §6.2 and RFC 5492 §3: whether the peer's OPEN is acceptable, and what follows from both.
    ///
    /// - Parameter requiresRole: RFC 9234 §4.2, strict mode.
    public init(
        local: OpenMessage, remote: OpenMessage, remoteAS: ASNumber, isInternal: Bool, requiresRole: Bool = false
    ) throws(NotificationMessage) {
        guard remote.asNumber == remoteAS else { throw .open(.badPeerAS) }
        // RFC 6286 §2.2: within one AS identifiers are unique.
        if isInternal, remote.identifier == local.identifier { throw .open(.badBGPIdentifier) }
        // Roles are between ASes (RFC 9234 §4).
        if !isInternal, !local.capabilities.agreesOnRole(with: remote.capabilities, isStrict: requiresRole) {
            throw .open(.roleMismatch)
        }
        holdTime = min(local.holdTime, remote.holdTime)
        let offered = local.capabilities.effectiveFamilies
        families = offered.intersection(remote.capabilities.effectiveFamilies)
        if families.isEmpty {
            // RFC 5492 §5: the data lists the capabilities that we miss.
            var wanted = Capabilities()
            wanted.hasMultiprotocol = true
            wanted.families = offered
            throw .open(.unsupportedCapability, wanted.encoded)
        }
        fourOctetAS = local.capabilities.fourOctetAS != nil && remote.capabilities.fourOctetAS != nil
        routeRefresh = local.capabilities.routeRefresh && remote.capabilities.routeRefresh
        extendedMessages = local.capabilities.extendedMessages && remote.capabilities.extendedMessages
        let own = local.capabilities, others = remote.capabilities
        receivesPathIDs = own.receivesPathIDs.intersection(others.sendsPathIDs).intersection(families)
        sendsPathIDs = own.sendsPathIDs.intersection(others.receivesPathIDs).intersection(families)
        ipv6NextHops = own.ipv6NextHops.intersection(others.ipv6NextHops).intersection(families)
        enhancedRouteRefresh = own.enhancedRouteRefresh && others.enhancedRouteRefresh
        gracefulRestart = own.gracefulRestart == nil ? nil : others.gracefulRestart
        gracefulNotification = own.gracefulRestart?.hasNotification == true && gracefulRestart?.hasNotification == true
        longLivedGracefulRestart =
            gracefulRestart == nil || own.longLivedGracefulRestart == nil ? nil : others.longLivedGracefulRestart
    }
}
