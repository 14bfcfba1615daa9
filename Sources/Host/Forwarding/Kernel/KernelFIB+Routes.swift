import Glibc
import Machine
import Records
import Routing
import Wire

// Routes to the kernel: some thousand messages by one system call, no acknowledgement but for what fails.

extension KernelFIB {
    /// The largest route message: headers, an IPv6 prefix, three attributes.
    private static let routeRoom = 96

    func flushRoutes(at now: Instant) {
        flush(&ipv4, at: now) { .ipv4($0, $1) }
        flush(&ipv6, at: now) { .ipv6($0, $1) }
        sendBatch(at: now)
    }

    private func flush<Key: PrefixKey>(
        _ book: inout RouteBook<Key>, at now: Instant, _ item: (UInt32, UInt32) -> Item
    ) {
        while batch.hasRoom(Self.routeRoom), let number = book.dequeue() {
            let n = Int(number)
            guard book.isPresent(number) else { continue }
            let wanted = book.wanted[n], installed = book.installed[n]
            guard wanted != installed else {
                book.forgetIfUnused(number)
                continue
            }
            if wanted != GroupBook.none {
                guard groups[wanted].content != nil else {
                    // Its group was refused; it comes again with the group.
                    book.park(number)
                    retryAt = min(retryAt ?? .distantFuture, now + .seconds(1))
                    continue
                }
                begin(RouteMessage.newRoute, item(number, installed), flags: NetlinkFlag.create | NetlinkFlag.replace)
                write(book.prefixes[number], group: groupObject(wanted))
            } else {
                begin(RouteMessage.deleteRoute, item(number, installed))
                write(book.prefixes[number], group: nil)
            }
            batch.end()
            setInstalled(number, wanted, in: &book)
        }
    }

    /// struct rtmsg and attributes.
    @inline(__always)
    private func write<Key: PrefixKey>(_ prefix: Key, group: UInt32?) {
        batch.u8(Key.family == .ipv4 ? KernelFamily.ipv4 : KernelFamily.ipv6)
        batch.u8(prefix.length)
        batch.u16(0)
        batch.u8(settings.table < 256 ? UInt8(settings.table) : 0)
        batch.u8(settings.routeProtocol)
        // Removal asks for no scope (RT_SCOPE_NOWHERE) and no type.
        batch.u8(group == nil ? 255 : 0)
        batch.u8(group == nil ? 0 : RouteType.unicast)
        batch.u32(0)
        if Key.family == .ipv4 {
            let packed = unsafe unsafeBitCast(prefix.packed, to: UInt64.self)
            batch.attribute(RouteAttribute.destination, UInt32(truncatingIfNeeded: packed >> 8).bigEndian)
        } else {
            batch.attribute(RouteAttribute.destination, Key.address(prefix.address))
        }
        batch.attribute(RouteAttribute.priority, settings.metric)
        if settings.table >= 256 { batch.attribute(RouteAttribute.table, settings.table) }
        if let group { batch.attribute(RouteAttribute.nextHopID, group) }
    }

    // MARK: a batch

    @inline(__always)
    func begin(_ type: UInt16, _ item: Item, flags: UInt16 = 0) {
        let sequence = socket.nextSequence()
        if items.isEmpty { firstSequence = sequence }
        items.append(item)
        batch.begin(type, flags: flags, sequence: sequence)
    }

    func sendBatch(at now: Instant) {
        guard !batch.isEmpty else { return }
        defer {
            batch.removeAll()
            items.removeAll(keepingCapacity: true)
        }
        status.batches += 1
        status.messages += UInt64(items.count)
        let code = socket.send(batch)
        if code != 0 {
            // Nothing of it was done, or we cannot know what.
            failed("a batch", code, nil, at: now)
            needsStock = needsStock ?? "a batch could not be sent"
        }
        let first = firstSequence
        var isOver = false
        while !isOver {
            let received = socket.receive { message in
                guard message.type == NetlinkType.error else { return }
                let code = message.errorCode
                let i = Int(message.sequence &- first)
                guard code != 0, i < items.count else { return }
                refused(items[i], code, message.errorText, at: now)
            }
            switch received {
            case .messages: break
            case .nothing: isOver = true
            case .overrun: needsStock = needsStock ?? "answers of the kernel were lost"
            }
        }
        for item in items {
            switch item {
            case .ipv4(let number, _): ipv4.forgetIfUnused(number)
            case .ipv6(let number, _): ipv6.forgetIfUnused(number)
            default: break
            }
        }
    }

    private func refused(_ item: Item, _ code: Int32, _ text: String?, at now: Instant) {
        switch item {
        case .removal:
            // ENOENT, ENODEV: gone already, with its device.
            if code != ENOENT, code != ENODEV, code != ESRCH { failed("a removal", code, text, at: now) }
        case .path(let number):
            if let path = paths[Int(number)]?.path {
                paths[Int(number)]!.isInKernel = false
                let gateway = path.gateway.map { " via \($0)" } ?? ""
                failed("a next hop\(gateway) on device \(path.device)", code, text, at: now)
            }
            retry(after: .seconds(1), at: now)
        case .group(let slot):
            failed("group \(groups[slot].fib)", code, text, at: now)
            releasePaths(groups[slot].content)
            groups[slot].content = nil
            groups[slot].hasFailed = true
            retry(after: .seconds(1), at: now)
        case .ipv4(let number, let before): refused(number, before, &ipv4, code, text, at: now)
        case .ipv6(let number, let before): refused(number, before, &ipv6, code, text, at: now)
        }
    }

    private func refused<Key>(
        _ number: UInt32, _ before: UInt32, _ book: inout RouteBook<Key>, _ code: Int32, _ text: String?,
        at now: Instant
    ) {
        let isRemoval = book.installed[Int(number)] == GroupBook.none
        // No such route: what we want.
        if isRemoval, code == ESRCH || code == ENOENT { return }
        failed("\(isRemoval ? "the removal of " : "")\(book.prefixes[number])", code, text, at: now)
        setInstalled(number, before, in: &book)
        book.park(number)
        retry(after: .seconds(1), at: now)
    }
}
