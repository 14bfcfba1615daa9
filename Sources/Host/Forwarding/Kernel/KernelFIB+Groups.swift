import Glibc
import Machine
import Records
import Routing
import Wire

// Paths and groups. The order within one batch: new paths, groups, and in the next one paths that nobody holds.

extension KernelFIB {
    func groupObject(_ slot: UInt32) -> UInt32 { settings.firstObject + slot }
    func pathObject(_ number: UInt32) -> UInt32 { settings.firstObject + Self.groupLimit + number }

    /// What the kernel is to have for next hops of the FIB: those whose device is there and up. A group that has none
    /// drops: packets must not fall through to a shorter prefix because a cable was pulled here.
    func resolve(_ nextHops: [FIBNextHop]) -> [KernelMember] {
        var members: [KernelMember] = []
        for hop in nextHops.prefix(256) {
            let i = Int(hop.interface.value)
            guard let devices, i < devices.count, let device = devices[i], device.isUp else { continue }
            members.append(
                KernelMember(
                    path: KernelPath(device: device.index, gateway: hop.gateway), weight: max(1, hop.weight)))
        }
        guard !members.isEmpty else { return [KernelMember(path: .blackhole, weight: 1)] }
        return Self.ordered(members)
    }

    /// One order, and each path once.
    static func ordered(_ members: [KernelMember]) -> [KernelMember] {
        let sorted = members.sorted { a, b in
            if a.path.device != b.path.device { return a.path.device < b.path.device }
            switch (a.path.gateway, b.path.gateway) {
            case (let x?, let y?) where x != y: return x < y
            case (nil, _?): return true
            case (_?, nil): return false
            default: return a.weight > b.weight
            }
        }
        return sorted.enumerated().filter { i, member in i == 0 || sorted[i - 1].path != member.path }.map(\.element)
    }

    func flushGroups(at now: Instant) {
        guard groups.hasQueued || !idlePaths.isEmpty || !lostPaths.isEmpty else { return }
        deleteLostPaths(at: now)
        let idle = idlePaths
        idlePaths = []
        for slot in groups.takeQueue() {
            if !batch.hasRoom(8 << 10) { sendBatch(at: now) }
            flushGroup(slot)
        }
        sendBatch(at: now)
        // After the groups: one that was replaced just now may have held them.
        for number in idle {
            guard let entry = paths[Int(number)], entry.uses == 0 else { continue }
            if !batch.hasRoom() { sendBatch(at: now) }
            if entry.isInKernel {
                begin(RouteMessage.deleteNextHop, .removal)
                nextHopNumber(batch, pathObject(number))
                batch.end()
            }
            pathNumbers[entry.path] = nil
            paths[Int(number)] = nil
            freePaths.append(number)
        }
        sendBatch(at: now)
    }

    /// A number is given to another path only when the kernel has let go of it, which with a device on top of another it does in
    /// its time; what it has removed already is not missed.
    private func deleteLostPaths(at now: Instant) {
        for number in lostPaths {
            if !batch.hasRoom() { sendBatch(at: now) }
            begin(RouteMessage.deleteNextHop, .removal)
            nextHopNumber(batch, pathObject(number))
            batch.end()
        }
        freePaths += lostPaths
        lostPaths = []
    }

    private func flushGroup(_ slot: UInt32) {
        guard groups.isInUse(slot) else { return }
        let group = groups[slot]
        if group.fib == 0 {
            guard group.uses == 0, isSettled || group.content == nil else { return }
            if group.content != nil || group.hasFailed {
                begin(RouteMessage.deleteNextHop, .removal)
                nextHopNumber(batch, groupObject(slot))
                batch.end()
            }
            releasePaths(group.content)
            groups.release(slot)
            return
        }
        let content = resolve(group.nextHops)
        guard content != group.content else { return }
        var numbers: [UInt32] = []
        for member in content {
            guard let number = retainPath(member.path) else {
                status.unknownGroups += 1
                for number in numbers { releasePath(number) }
                return
            }
            numbers.append(number)
            if !paths[Int(number)]!.isInKernel { writePath(number) }
        }
        begin(RouteMessage.newNextHop, .group(slot), flags: NetlinkFlag.create | NetlinkFlag.replace)
        batch.nextHopHeader(KernelFamily.unspecified, routeProtocol: settings.routeProtocol)
        batch.attribute(NextHopAttribute.id, groupObject(slot))
        let at = batch.nest(NextHopAttribute.group)
        for (number, member) in zip(numbers, content) {
            batch.u32(pathObject(number))
            // The kernel's weights begin with 0.
            batch.u8(member.weight - 1)
            batch.u8(0)
            batch.u16(0)
        }
        batch.endNest(at)
        batch.end()
        releasePaths(group.content)
        groups[slot].content = content
        groups[slot].hasFailed = false
    }

    private func writePath(_ number: UInt32) {
        let path = paths[Int(number)]!.path
        begin(RouteMessage.newNextHop, .path(number), flags: NetlinkFlag.create | NetlinkFlag.replace)
        // Whether the gateway lies on a network of the device is the engine's knowledge, not the kernel's.
        batch.nextHopHeader(
            path.family, routeProtocol: settings.routeProtocol,
            flags: path.gateway == nil ? 0 : NextHopAttribute.onLink)
        batch.attribute(NextHopAttribute.id, pathObject(number))
        if path == .blackhole {
            batch.flag(NextHopAttribute.blackhole)
        } else {
            batch.attribute(NextHopAttribute.device, path.device)
            if let gateway = path.gateway { batch.attribute(NextHopAttribute.gateway, gateway) }
        }
        batch.end()
        paths[Int(number)]!.isInKernel = true
    }

    // MARK: paths

    /// `nil` when the range is full.
    private func retainPath(_ path: KernelPath) -> UInt32? {
        if let number = pathNumbers[path] {
            paths[Int(number)]!.uses += 1
            return number
        }
        let number: UInt32
        if let reused = freePaths.popLast() {
            number = reused
            paths[Int(reused)] = PathEntry(path: path, uses: 1)
        } else {
            guard paths.count < Int(Self.groupLimit) else { return nil }
            number = UInt32(paths.count)
            paths.append(PathEntry(path: path, uses: 1))
        }
        pathNumbers[path] = number
        return number
    }

    func releasePaths(_ content: [KernelMember]?) {
        for member in content ?? [] {
            if let number = pathNumbers[member.path] { releasePath(number) }
        }
    }
    private func releasePath(_ number: UInt32) {
        paths[Int(number)]!.uses -= 1
        if paths[Int(number)]!.uses == 0 { idlePaths.append(number) }
    }

    /// A device is gone or has lost its carrier: the kernel has removed its paths, groups that had no other, and
    /// without a word the routes of those.
    func lost(_ device: UInt32) {
        var isGone = [Bool](repeating: false, count: groups.slots.count)
        var count = 0
        for slot in groups.slots.indices {
            guard let content = groups.slots[slot].content, content.contains(where: { $0.path.device == device }) else {
                continue
            }
            let rest = content.filter { $0.path.device != device }
            groups[UInt32(slot)].content = rest.isEmpty ? nil : rest
            groups.enqueue(UInt32(slot))
            if rest.isEmpty {
                isGone[slot] = true
                count += 1
            }
        }
        for number in paths.indices where paths[number]?.path.device == device {
            pathNumbers[paths[number]!.path] = nil
            paths[number] = nil
            lostPaths.append(UInt32(number))
        }
        idlePaths.removeAll { paths[Int($0)] == nil }
        guard count > 0 else { return }
        dropInstalled(&ipv4, isGone)
        dropInstalled(&ipv6, isGone)
    }

    private func dropInstalled<Key>(_ book: inout RouteBook<Key>, _ isGone: [Bool]) {
        for number in book.numbers where book.isPresent(number) {
            let slot = book.installed[Int(number)]
            guard slot != GroupBook.none, isGone[Int(slot)] else { continue }
            setInstalled(number, GroupBook.none, in: &book)
            if book.wanted[Int(number)] == GroupBook.none { book.forgetIfUnused(number) } else { book.enqueue(number) }
        }
    }

    func nextHopNumber(_ batch: NetlinkBatch, _ object: UInt32) {
        batch.nextHopHeader(KernelFamily.unspecified)
        batch.attribute(NextHopAttribute.id, object)
    }
}

extension NetlinkBatch {
    /// struct nhmsg
    func nextHopHeader(_ family: UInt8, routeProtocol: UInt8 = 0, flags: UInt32 = 0) {
        u8(family)
        u8(0)
        u8(routeProtocol)
        u8(0)
        u32(flags)
    }
}
