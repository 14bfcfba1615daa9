import Wire

/// What an LSA says, in words for an operator.
extension LSA {
    /// One statement each; a body that cannot be read says so.
    public func contents(version: OSPFVersion, family: AddressFamily) -> [String] {
        do throws(DecodeError) { return try lines(version, family) } catch { return ["cannot be read: \(error)"] }
    }

    /// Whether the body is what its type has it to be. Unknown types are.
    func isReadable(version: OSPFVersion, family: AddressFamily) -> Bool {
        do throws(DecodeError) { try read(version, family) } catch { return false }
        return true
    }

    private func read(_ version: OSPFVersion, _ family: AddressFamily) throws(DecodeError) {
        var reader = body
        let id = key.linkStateID
        switch (version, key.type) {
        case (.v2, .router), (.v3, .routerV3): _ = try RouterLSABody(from: &reader, version: version)
        case (.v2, .network), (.v3, .networkV3): _ = try NetworkLSABody(from: &reader, version: version)
        case (.v2, .summaryNetwork), (.v3, .interAreaPrefix):
            _ = try InterAreaPrefixLSABody(from: &reader, version: version, family: family, linkStateID: id)
        case (.v2, .summaryRouter), (.v3, .interAreaRouter):
            _ = try InterAreaRouterLSABody(from: &reader, version: version, linkStateID: id)
        case (.v2, .external), (.v2, .nssa), (.v3, .externalV3), (.v3, .nssaV3):
            _ = try ExternalLSABody(from: &reader, version: version, family: family, linkStateID: id)
        case (.v3, .link): _ = try LinkLSABody(from: &reader, family: family)
        case (.v3, .intraAreaPrefix): _ = try IntraAreaPrefixLSABody(from: &reader, family: family)
        default: break
        }
    }

    private func lines(_ version: OSPFVersion, _ family: AddressFamily) throws(DecodeError) -> [String] {
        var reader = body
        let id = key.linkStateID
        switch (version, key.type) {
        case (.v2, .router), (.v3, .routerV3):
            return Self.lines(try RouterLSABody(from: &reader, version: version), version)
        case (.v2, .network), (.v3, .networkV3):
            let body = try NetworkLSABody(from: &reader, version: version)
            let mask = version == .v2 ? ["mask /\(body.mask.nonzeroBitCount)"] : []
            return mask + body.routers.map { "attached router \(IPv4Address(raw: $0))" }
        case (.v2, .summaryNetwork), (.v3, .interAreaPrefix):
            let body = try InterAreaPrefixLSABody(from: &reader, version: version, family: family, linkStateID: id)
            return ["prefix \(body.prefix) metric \(body.metric)" + Self.words(body.prefixOptions)]
        case (.v2, .summaryRouter), (.v3, .interAreaRouter):
            let body = try InterAreaRouterLSABody(from: &reader, version: version, linkStateID: id)
            return ["router \(IPv4Address(raw: body.router)) metric \(body.metric)"]
        case (.v2, .external), (.v2, .nssa), (.v3, .externalV3), (.v3, .nssaV3):
            let body = try ExternalLSABody(from: &reader, version: version, family: family, linkStateID: id)
            var line = "prefix \(body.prefix) metric \(body.metric) type \(body.isType2 ? 2 : 1)"
            if let address = body.forwardingAddress { line += " forwarding \(address)" }
            if body.tag != 0 { line += " tag \(body.tag)" }
            if key.type == .nssa, header.options & UInt8(OSPFOptions.propagate.rawValue) != 0 { line += " propagated" }
            return [line + Self.words(body.prefixOptions)]
        case (.v3, .link):
            let body = try LinkLSABody(from: &reader, family: family)
            return ["address \(body.address) priority \(body.priority)"]
                + body.prefixes.map { "prefix \($0.prefix)" + Self.words($0.options) }
        case (.v3, .intraAreaPrefix):
            let body = try IntraAreaPrefixLSABody(from: &reader, family: family)
            return ["of \(body.reference)"]
                + body.prefixes.map { "prefix \($0.prefix) metric \($0.metric)" + Self.words($0.options) }
        case (.v2, .opaqueLink) where OpaqueID(linkStateID: id).type == OpaqueID.grace, (.v3, .grace):
            let body = try GraceLSABody(from: &reader)
            return ["grace period \(body.period) s, reason \(body.reason)"]
        default: return ["\(reader.remaining) octets"]
        }
    }

    private static func lines(_ body: RouterLSABody, _ version: OSPFVersion) -> [String] {
        var lines: [String] = []
        let names: [(RouterLSABody.Flags, String)] = [
            (.border, "area border router"), (.boundary, "AS boundary router"), (.virtualLink, "virtual link"),
            (.translator, "NSSA translator"),
        ]
        let flags = names.filter { body.flags.contains($0.0) }.map(\.1)
        if !flags.isEmpty { lines.append(flags.joined(separator: ", ")) }
        if version == .v3, !body.options.contains(.activeRouter) { lines.append("not for transit") }
        for link in body.links {
            let id = IPv4Address(raw: link.id), data = IPv4Address(raw: link.data)
            switch (link.type, version) {
            case (.pointToPoint, .v2): lines.append("link to router \(id) by \(data) metric \(link.metric)")
            case (.virtual, .v2): lines.append("virtual link to router \(id) by \(data) metric \(link.metric)")
            case (.transit, .v2): lines.append("network of \(id) by \(data) metric \(link.metric)")
            case (.stub, _):
                let length = link.data.nonzeroBitCount
                lines.append("stub network \(id)/\(length) metric \(link.metric)")
            case (let type, .v3):
                let kind = type == .transit ? "network of" : type == .virtual ? "virtual link to" : "link to"
                lines.append(
                    "\(kind) router \(id) interface \(link.neighborInterfaceID) by interface \(link.data)"
                        + " metric \(link.metric)")
            }
        }
        return lines
    }

    private static func words(_ options: LSAPrefix.Options) -> String {
        let names: [(LSAPrefix.Options, String)] = [
            (.noUnicast, "not for unicast"), (.localAddress, "local address"), (.propagate, "propagated"), (.down, "down"),
        ]
        let words = names.filter { options.contains($0.0) }.map(\.1)
        return words.isEmpty ? "" : " (" + words.joined(separator: ", ") + ")"
    }
}
