import Machine
import Routing
import Wire

/// What the last calculation left: routes, and what the routing table manager was told. Graphs and sources follow from
/// the databases; the calculation after a restart builds them anew and tells the same differences as it would have
/// without.
extension RouteCalculation {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(isBorderRouter)
        let kept = prefixes.places.filter { $0.isUsed && ($0.route != nil || $0.offered != nil) }
            .sorted { $0.prefix < $1.prefix }
        writer.writeList(kept) { record, w in
            record.prefix.write(to: &w)
            w.write(record.route != nil)
            record.route?.write(to: &w)
            w.write(record.offered != nil)
            record.offered?.write(to: &w)
        }
        writer.writeList(boundaryRouters) { router, w in router.write(to: &w) }
        writer.writeList(borders) { border, w in
            w.write(border.area)
            w.write(border.routerID)
            w.write(border.flags.rawValue)
        }
    }

    public init(from reader: inout SnapshotReader, seed: UInt64) throws(DecodeError) {
        self.init(seed: seed)
        isBorderRouter = try reader.readBool()
        let records = try reader.readList { r throws(DecodeError) -> PrefixRecord in
            var record = PrefixRecord(prefix: try IPPrefix(from: &r))
            if try r.readBool() { record.route = try CalculatedRoute(from: &r) }
            if try r.readBool() { record.offered = try RouteOffer(from: &r) }
            return record
        }
        for record in records {
            let number = prefixOrNew(record.prefix)
            prefixes[number].route = record.route
            prefixes[number].offered = record.offered
            if let route = record.route { digest.add(route.digestWord) }
        }
        let known = try reader.readList { r throws(DecodeError) in try CalculatedRouter(from: &r) }
        for route in known {
            let number = routerOrNew(route.routerID)
            routers[number].route = route
        }
        borders = try reader.readList { r throws(DecodeError) in
            let area: UInt32 = try r.read()
            let id: UInt32 = try r.read()
            return BorderRouter(area: area, routerID: id, flags: RouterLSABody.Flags(rawValue: try r.read()))
        }
    }
}
