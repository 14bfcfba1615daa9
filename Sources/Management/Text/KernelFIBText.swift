import Foundation

extension KernelFIBView {
    public var lines: [String] {
        if mode == "none" { return ["forwarding is 'none' in the controller file: no table is kept on this host"] }
        var table = TextTable([
            ("Family", .left), ("Wanted", .right), ("Installed", .right), ("Pending", .right), ("Failed", .right),
        ])
        for family in families {
            table.append([
                family.family, "\(family.wanted)", mode == "kernel" ? "\(family.installed)" : "-", "\(family.pending)",
                "\(family.failed)",
            ])
        }
        guard mode == "kernel" else {
            return ["forwarding is 'memory': the kernel of this host is left alone"] + table.lines + ["groups \(groups)"]
        }
        var lines = table.lines
        lines.append("groups \(groups), in the kernel \(groupsInstalled) with \(paths) paths")
        lines.append(
            "gate \(isGateOpen ? "open: the kernel forwards" : "closed: the other controller forwards")"
                + ", last switched in \(Words.span(lastGateSwitch)), longest \(Words.span(longestGateSwitch))")
        if let gateFailure { lines.append("GATE: \(gateFailure)") }
        if gateRepairs > 0 { lines.append("the gate's tables were removed by somebody \(gateRepairs) times and made again") }
        for device in devices {
            lines.append("interface \(device.interface): device \(device.device), \(device.isUp ? "up" : "DOWN")")
        }
        lines.append(
            "\(messages) messages in \(batches) batches, \(errors) errors, "
                + "\(foreignChanges) changes by others put right")
        if let lastError { lines.append("last error: \(lastError)") }
        if let last = lastStocktaking {
            lines.append(
                "table read \(stocktakings) times, last \(Words.time(ManagementTime.text(last.time))) UTC "
                    + "(\(last.reason)): \(last.differences) routes differed, \(Words.span(last.duration))")
        }
        return lines
    }
}
