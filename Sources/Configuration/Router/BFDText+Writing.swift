import BFD
import Records
import Wire

extension RouterText {
    static func write(_ bfd: BFDConfiguration, _ writer: inout YAMLWriter) {
        writer.section("bfd") { writer in
            let start = writer.text.utf8.count
            write(bfd.defaults, beyond: BFDProfile(), &writer)
            if !bfd.profiles.isEmpty {
                writer.section("profiles") { writer in
                    for entry in bfd.profiles {
                        let name = YAMLWriter.scalar(entry.name)
                        if entry.profile == bfd.defaults {
                            writer.line(name, "{}")
                        } else {
                            writer.section(name) { write(entry.profile, beyond: bfd.defaults, &$0) }
                        }
                    }
                }
            }
            if !bfd.interfaces.isEmpty {
                writer.section("interfaces") { writer in
                    for entry in bfd.interfaces {
                        writer.line(YAMLWriter.scalar(entry.interface), YAMLWriter.scalar(entry.profile))
                    }
                }
            }
            if !bfd.peers.isEmpty {
                writer.section("peers") { writer in
                    for peer in bfd.peers { writer.element { write(peer, &$0) } }
                }
            }
            // A section that says nothing is still there.
            if writer.text.utf8.count == start { writer.line("multiplier", "\(bfd.defaults.multiplier)") }
        }
    }

    private static func write(_ profile: BFDProfile, beyond base: BFDProfile, _ writer: inout YAMLWriter) {
        func time(_ microseconds: UInt32) -> String { DurationText.text(.microseconds(microseconds)) }
        if profile.desiredMinTx != base.desiredMinTx { writer.line("transmit", time(profile.desiredMinTx)) }
        if profile.requiredMinRx != base.requiredMinRx { writer.line("receive", time(profile.requiredMinRx)) }
        if profile.multiplier != base.multiplier { writer.line("multiplier", "\(profile.multiplier)") }
        if profile.isPassive != base.isPassive { writer.line("passive", "\(profile.isPassive)") }
        if profile.minimumHopLimit != base.minimumHopLimit { writer.line("minimum-ttl", "\(profile.minimumHopLimit)") }
        guard profile.authentication != base.authentication else { return }
        guard let authentication = profile.authentication else { return writer.line("authentication", "none") }
        writer.section("authentication") { writer in
            writer.line("type", BFDTextReader.types.first { $0.type == authentication.type }?.name ?? "password")
            writer.section("keys") { writer in
                for key in authentication.keys {
                    writer.element {
                        $0.line("id", "\(key.id)")
                        $0.line("secret", secret(key.secret))
                    }
                }
            }
        }
    }

    /// As text when it is some, in hexadecimal digits otherwise.
    private static func secret(_ octets: [UInt8]) -> String {
        let isText = octets.allSatisfy { (33...126).contains($0) } && !octets.starts(with: [0x30, 0x78])
        if isText { return YAMLWriter.scalar(String(decoding: octets, as: UTF8.self)) }
        return "0x" + octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func write(_ peer: BFDPeerConfiguration, _ writer: inout YAMLWriter) {
        writer.line("address", YAMLWriter.scalar("\(peer.remote)"))
        if let local = peer.local { writer.line("local-address", YAMLWriter.scalar("\(local)")) }
        if let interface = peer.interface { writer.line("interface", YAMLWriter.scalar(interface)) }
        if let profile = peer.profile { writer.line("profile", YAMLWriter.scalar(profile)) }
        if peer.isShutdown { writer.line("shutdown", "true") }
    }

    /// The key `bfd` of one who wants to be watched.
    static func write(bfd wish: String?, _ writer: inout YAMLWriter) {
        guard let wish else { return }
        writer.line("bfd", wish.isEmpty ? "true" : YAMLWriter.scalar(wish))
    }
}
