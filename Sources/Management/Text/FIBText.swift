extension FIBView {
    /// One line for each way of a group.
    public var lines: [String] {
        var table = TextTable([
            ("Group", .right), ("Family", .left), ("Offers", .right), ("Packets go", .left), ("Next hop", .left),
            ("Backup", .left),
        ])
        for group in groups {
            let count = max(1, group.ways.count, group.nextHops.count, group.backup.count)
            for i in 0..<count {
                func item(_ list: [String]) -> String { i < list.count ? list[i] : "" }
                table.append([
                    i == 0 ? "\(group.id)" : "", i == 0 ? group.family : "", i == 0 ? "\(group.offers)" : "",
                    i == 0 && group.ways.isEmpty ? "dropped" : item(group.ways), item(group.nextHops), item(group.backup),
                ])
            }
        }
        return table.lines + [
            "", "\(ipv4Routes) IPv4 and \(ipv6Routes) IPv6 prefixes in \(Words.count(groups.count, "group", "groups"))",
        ]
    }
}
