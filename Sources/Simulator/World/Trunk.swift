import Wire

/// The two VLANs of a trunk port (IEEE 802.1Q): that of the stations, whose ports are untagged, and one where only the two
/// controllers are. A frame with another tag, or without one, is lost as in a switch.
enum Trunk {
    static let stations: UInt16 = 100
    static let spare: UInt16 = 200

    /// 0 for a frame without a tag.
    static func vlan(of frame: [UInt8]) -> UInt16 {
        guard frame.count >= 18, frame[12] == 0x81, frame[13] == 0 else { return 0 }
        return UInt16(frame[14] & 0xf) << 8 | UInt16(frame[15])
    }

    static func untagged(_ frame: [UInt8]) -> [UInt8] { Array(frame[..<12]) + frame[16...] }

    /// As the port sends a frame: what came from a station gets its tag.
    static func tagged(_ frame: [UInt8]) -> [UInt8] {
        guard vlan(of: frame) == 0, frame.count >= 12 else { return frame }
        return Array(frame[..<12]) + [0x81, 0, UInt8(stations >> 8), UInt8(stations & 255)] + frame[12...]
    }
}
