import Wire

/// The mandatory section of a BFD Control packet, RFC 5880 §4.1.
struct ControlPacket: Equatable {
    static let length = 24
    static let version: UInt8 = 1

    var diagnostic: UInt8
    var state: UInt8
    var poll = false
    var final = false
    var controlPlaneIndependent = false
    var authenticationPresent = false
    var demand = false
    var multiplier: UInt8
    /// Octets of the whole packet, authentication included.
    var totalLength: UInt8
    var myDiscriminator: UInt32
    var yourDiscriminator: UInt32
    /// Microseconds, as the two that follow.
    var desiredMinTx: UInt32
    var requiredMinRx: UInt32
    var requiredMinEchoRx: UInt32

    init(
        diagnostic: UInt8, state: UInt8, multiplier: UInt8, myDiscriminator: UInt32, yourDiscriminator: UInt32,
        desiredMinTx: UInt32, requiredMinRx: UInt32
    ) {
        self.diagnostic = diagnostic
        self.state = state
        self.multiplier = multiplier
        totalLength = UInt8(Self.length)
        self.myDiscriminator = myDiscriminator
        self.yourDiscriminator = yourDiscriminator
        self.desiredMinTx = desiredMinTx
        self.requiredMinRx = requiredMinRx
        requiredMinEchoRx = 0
    }

    /// RFC 5880 §6.8.6, its steps up to the choice of a session, in their order. `bytes` is the UDP payload.
    init(_ bytes: RawSpan) throws(BFDDropReason) {
        var r = ByteReader(bytes)
        let version: UInt8, flags: UInt8
        do throws(DecodeError) {
            let first = try r.u8("version and diagnostic")
            version = first >> 5
            flags = try r.u8("state and flags")
            diagnostic = first & 31
            state = flags >> 6
            poll = flags & 0x20 != 0
            final = flags & 0x10 != 0
            controlPlaneIndependent = flags & 0x08 != 0
            authenticationPresent = flags & 0x04 != 0
            demand = flags & 0x02 != 0
            multiplier = try r.u8("Detect Mult")
            totalLength = try r.u8("Length")
            myDiscriminator = try r.u32("My Discriminator")
            yourDiscriminator = try r.u32("Your Discriminator")
            desiredMinTx = try r.u32("Desired Min TX Interval")
            requiredMinRx = try r.u32("Required Min RX Interval")
            requiredMinEchoRx = try r.u32("Required Min Echo RX Interval")
        } catch {
            throw .length
        }
        // "If the version number is not correct (1), the packet MUST be discarded."
        guard version == Self.version else { throw .version }
        // "If the Length field is less than the minimum correct value (24 … or 26 if the A bit is set)"
        guard Int(totalLength) >= (authenticationPresent ? 26 : Self.length) else { throw .length }
        // "If the Length field is greater than the payload of the encapsulating protocol"
        guard Int(totalLength) <= bytes.byteCount else { throw .length }
        guard multiplier != 0 else { throw .multiplierZero }
        guard flags & 1 == 0 else { throw .multipoint }
        guard myDiscriminator != 0 else { throw .myDiscriminatorZero }
    }

    func write(to w: inout ByteWriter) {
        w.u8(Self.version << 5 | diagnostic & 31)
        var flags = state << 6
        if poll { flags |= 0x20 }
        if final { flags |= 0x10 }
        if controlPlaneIndependent { flags |= 0x08 }
        if authenticationPresent { flags |= 0x04 }
        if demand { flags |= 0x02 }
        w.u8(flags)
        w.u8(multiplier)
        w.u8(totalLength)
        w.u32(myDiscriminator)
        w.u32(yourDiscriminator)
        w.u32(desiredMinTx)
        w.u32(requiredMinRx)
        w.u32(requiredMinEchoRx)
    }
}

/// Why a received packet was discarded: the steps of RFC 5880 §6.8.6 and what comes before and after them.
public enum BFDDropReason: Int, Error, Sendable, Hashable, CaseIterable {
    case version
    case length
    case multiplierZero
    case multipoint
    case myDiscriminatorZero
    /// Your Discriminator names no session of ours.
    case unknownDiscriminator
    /// Your Discriminator is zero, but the state is Init or Up.
    case yourDiscriminatorZero
    /// Nobody wants a session with the sender.
    case unknownPeer
    /// Your Discriminator names a session with somebody else, or on another interface.
    case wrongPeer
    /// RFC 5881 §5, RFC 5883 §5: it came from too far.
    case hopLimit
    /// The A bit is set and the session has no authentication.
    case unexpectedAuthentication
    /// The A bit is clear, or the type is not ours.
    case missingAuthentication
    case authenticationLength
    case unknownKey
    /// A replay, or too far ahead.
    case sequence
    case digest
    /// More packets than any negotiation allows.
    case flood
    /// To a group, or with a checksum that is wrong.
    case notUnicast
}
