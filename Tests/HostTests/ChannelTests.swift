import CHost
import Foundation
import Identity
import NIOCore
import NIOSSL
import Records
import Testing
import Wire

@testable import Host

private let key = Array("a secret of more than sixteen octets".utf8)

/// Two ends of a session joined by hand.
private final class SessionPair {
    let server: SecureSession
    let client: SecureSession
    var serverError: String?
    var clientError: String?

    init(_ serverIdentity: ChannelIdentity, _ clientIdentity: ChannelIdentity) throws {
        server = try SecureSession(identity: serverIdentity, isServer: true)
        client = try SecureSession(identity: clientIdentity, isServer: false)
    }
    /// Carries octets until neither end has any.
    func settle(corrupting: Bool = false) {
        while client.outgoing.readableBytes + server.outgoing.readableBytes > 0 {
            carry(client, server, &serverError, corrupting)
            carry(server, client, &clientError, corrupting)
        }
    }
    private func carry(_ from: SecureSession, _ to: SecureSession, _ error: inout String?, _ corrupting: Bool) {
        guard let bytes = from.outgoing.getBytes(at: from.outgoing.readerIndex, length: from.outgoing.readableBytes),
            !bytes.isEmpty
        else { return }
        from.didSend(bytes.count)
        guard error == nil else { return }
        do { try bytes.withUnsafeBytes { try to.receive($0) } } catch let failure { error = "\(failure)" }
    }
}

@Suite struct ChannelTests {
    func shared(_ controller: ControllerID, _ secret: [UInt8] = key, pair: String = "p") throws -> ChannelIdentity {
        try ChannelIdentity(.sharedKeys([secret]), pair: pair, controller: controller)
    }

    @Test func `Two controllers with the same key speak TLS 1.3 and octets pass both ways`() throws {
        let pair = try SessionPair(shared(.a), shared(.b))
        pair.settle()
        #expect(pair.serverError == nil)
        #expect(pair.clientError == nil)
        #expect(pair.server.isEstablished && pair.client.isEstablished)
        #expect(pair.server.version == "tlsv13")
        #expect(pair.client.version == "tlsv13")
        let large = [UInt8]((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        try pair.client.send(ByteBuffer(bytes: large))
        #expect(pair.client.outgoing.readableBytes > large.count)
        pair.settle()
        // Compared outside of the macro, which would print 300,000 numbers.
        let isWhole = pair.server.received.getBytes(at: pair.server.received.readerIndex, length: large.count) == large
        #expect(isWhole)
        try pair.server.send(ByteBuffer(bytes: [1, 2, 3]))
        pair.settle()
        #expect(pair.client.received.readableBytes == 3)
    }

    @Test func `Another key is refused in words on both ends`() throws {
        let pair = try SessionPair(shared(.a), shared(.b, Array("another secret of sixteen octets".utf8)))
        pair.settle()
        #expect(!pair.server.isEstablished)
        #expect(
            pair.clientError == "the twin holds another key, or a certificate that our authority did not sign or that has ended")
        #expect(pair.serverError == "the twin refuses our key or certificate")
    }

    @Test func `While the key is changed two are accepted, in whatever order the controllers get them`() throws {
        let new = Array("the next secret of sixteen octets".utf8)
        // From the old key alone to the new one alone, one controller at a time.
        let steps = [[key], [key, new], [new, key], [new]]
        for (a, b) in [(0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3)] {
            let pair = try SessionPair(
                ChannelIdentity(.sharedKeys(steps[a]), pair: "p", controller: .a),
                ChannelIdentity(.sharedKeys(steps[b]), pair: "p", controller: .b))
            pair.settle()
            #expect(pair.server.isEstablished && pair.client.isEstablished, "\(a) with \(b)")
        }
        let pair = try SessionPair(
            ChannelIdentity(.sharedKeys(steps[1]), pair: "p", controller: .a),
            ChannelIdentity(.sharedKeys(steps[3]), pair: "p", controller: .b))
        pair.settle()
        #expect(!pair.server.isEstablished)
        #expect(throws: IdentityError.self) { _ = try ChannelIdentity(.sharedKeys([]), pair: "p", controller: .a) }
        #expect(throws: IdentityError.self) { _ = try ChannelIdentity(.sharedKeys([key, [1]]), pair: "p", controller: .a) }
    }

    @Test func `The same key for another pair is refused`() throws {
        let pair = try SessionPair(shared(.a), shared(.b, pair: "q"))
        pair.settle()
        #expect(pair.clientError != nil)
        #expect(!pair.server.isEstablished)
    }

    @Test func `A controller cannot be made to talk to itself`() throws {
        let pair = try SessionPair(shared(.a), shared(.a))
        pair.settle()
        #expect(pair.clientError != nil)
        #expect(!pair.server.isEstablished)
    }

    @Test func `A client without a certificate is refused`() throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        let server = try SecureSession(identity: shared(.a), isServer: true)
        let stranger = try SecureSession(
            identity: ChannelIdentity(client: NIOSSLContext(configuration: configuration)), isServer: false)
        var refusal: String?
        while stranger.outgoing.readableBytes + server.outgoing.readableBytes > 0 {
            let up = stranger.outgoing.getBytes(at: stranger.outgoing.readerIndex, length: stranger.outgoing.readableBytes)!
            stranger.didSend(up.count)
            do { try up.withUnsafeBytes { try server.receive($0) } } catch { refusal = "\(error)" }
            let down = server.outgoing.getBytes(at: server.outgoing.readerIndex, length: server.outgoing.readableBytes)!
            server.didSend(down.count)
            if refusal != nil { break }
            try down.withUnsafeBytes { try stranger.receive($0) }
        }
        #expect(refusal != nil)
        #expect(!server.isEstablished)
    }

    @Test func `TLS 1.2 is not spoken`() throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.maximumTLSVersion = .tlsv12
        let server = try SecureSession(identity: shared(.a), isServer: true)
        let old = try SecureSession(
            identity: ChannelIdentity(client: NIOSSLContext(configuration: configuration)), isServer: false)
        let hello = old.outgoing.getBytes(at: old.outgoing.readerIndex, length: old.outgoing.readableBytes)!
        #expect(throws: SecureSession.Failure.self) { try hello.withUnsafeBytes { try server.receive($0) } }
        #expect(!server.isEstablished)
    }

    @Test func `Garbage ends the session with an error and no trap`() throws {
        let server = try SecureSession(identity: shared(.a), isServer: true)
        let garbage = [UInt8]("GET / HTTP/1.1\r\n\r\n".utf8)
        #expect(throws: SecureSession.Failure.self) { try garbage.withUnsafeBytes { try server.receive($0) } }
    }

    @Test func `A key that is too short is refused at start`() {
        #expect(throws: IdentityError.self) { try shared(.a, Array("short".utf8)) }
    }

    @Test func `The derived keys differ between controllers and pairs, and repeat`() throws {
        func raw(_ pair: String, _ controller: ControllerID) throws -> Data {
            try ChannelIdentity.keyPair(secret: key, pair: pair, controller: controller).rawRepresentation
        }
        #expect(try raw("p", .a) == raw("p", .a))
        #expect(try raw("p", .a) != raw("p", .b))
        #expect(try raw("p", .a) != raw("q", .a))
    }
}

/// A port that the kernel gives to nobody else just now.
private func freePort() throws -> UInt16 {
    let fd = try Sockets.make(SOCK_STREAM, IPAddress("127.0.0.1")!)
    defer { close(fd) }
    try Sockets.bind(fd, IPAddress("127.0.0.1")!, 0)
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &size) }
    }
    return UInt16(bigEndian: address.sin_port)
}

/// Two channels on one loop over the loopback device.
private final class ChannelPair {
    let poller: Poller
    let pollerB: Poller
    var a: ReplicationChannel
    var b: ReplicationChannel
    var fromA: [ReplicationChannel.Happening] = []
    var fromB: [ReplicationChannel.Happening] = []

    init(_ identityA: ChannelIdentity, _ identityB: ChannelIdentity, port: UInt16) throws {
        poller = try Poller()
        pollerB = try Poller()
        let loopback = IPAddress("127.0.0.1")!
        a = ReplicationChannel(
            settings: .init(controller: .a, local: loopback, peer: loopback, port: port), identity: Renewable(identityA),
            poller: poller)
        b = ReplicationChannel(
            settings: .init(controller: .b, local: loopback, peer: loopback, port: port), identity: Renewable(identityB),
            poller: pollerB)
    }
    /// Turns the loops until `isDone`; gives up after many turns without it.
    func run(_ isDone: (ChannelPair) -> Bool) -> Bool {
        for _ in 0..<5000 {
            a.tick(now: chost_now(), into: &fromA)
            b.tick(now: chost_now(), into: &fromB)
            poller.wait(milliseconds: 1) { a.ready($0, now: chost_now(), into: &fromA) }
            pollerB.wait(milliseconds: 1) { b.ready($0, now: chost_now(), into: &fromB) }
            a.flush(now: chost_now(), into: &fromA)
            b.flush(now: chost_now(), into: &fromB)
            if isDone(self) { return true }
        }
        return false
    }
    static func events(_ list: [ReplicationChannel.Happening]) -> [String] {
        list.compactMap { if case .event(let event) = $0 { event.message } else { nil } }
    }
    static func octets(_ list: [ReplicationChannel.Happening]) -> [UInt8] {
        list.flatMap { if case .received(let bytes) = $0 { bytes } else { [UInt8]() } }
    }
    static func closings(_ list: [ReplicationChannel.Happening]) -> [Bool] {
        list.compactMap { if case .closed(_, let isDead, _) = $0 { isDead } else { nil } }
    }
}

@Suite(.serialized) struct ReplicationChannelTests {
    private func identities(_ security: ChannelSecurity) throws -> (ChannelIdentity, ChannelIdentity) {
        (try ChannelIdentity(security, pair: "p", controller: .a), try ChannelIdentity(security, pair: "p", controller: .b))
    }

    @Test(arguments: [ChannelSecurity.sharedKeys([key]), .insecure])
    func `The channel opens, carries a megabyte each way, and tells a farewell from a death`(
        security: ChannelSecurity
    ) throws {
        let port = try freePort()
        let (identityA, identityB) = try identities(security)
        let pair = try ChannelPair(identityA, identityB, port: port)
        #expect(pair.run { $0.a.isOpen && $0.b.isOpen })
        let large = [UInt8]((0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 17) })
        pair.a.send(large)
        pair.b.send(large)
        #expect(
            pair.run {
                ChannelPair.octets($0.fromA).count == large.count && ChannelPair.octets($0.fromB).count == large.count
            })
        let areWhole = ChannelPair.octets(pair.fromA) == large && ChannelPair.octets(pair.fromB) == large
        #expect(areWhole)

        pair.a.close(now: chost_now())
        #expect(pair.run { !ChannelPair.closings($0.fromB).isEmpty })
        #expect(ChannelPair.closings(pair.fromB) == [false])
        // It comes back by itself.
        #expect(pair.run { $0.a.isOpen && $0.b.isOpen })

        // The process of a dies: the kernel closes its sockets without a word.
        let loopback = IPAddress("127.0.0.1")!
        pair.a = ReplicationChannel(
            settings: .init(controller: .a, local: loopback, peer: loopback, port: port), identity: Renewable(identityA),
            poller: try Poller())
        #expect(pair.run { ChannelPair.closings($0.fromB).count == 2 })
        #expect(ChannelPair.closings(pair.fromB) == [false, true])
    }

    @Test func `With different keys both ends say so and neither opens`() throws {
        let identityA = try ChannelIdentity(.sharedKeys([key]), pair: "p", controller: .a)
        let identityB = try ChannelIdentity(.sharedKeys([Array("not the key of the other one".utf8)]), pair: "p", controller: .b)
        let pair = try ChannelPair(identityA, identityB, port: freePort())
        #expect(pair.run { !ChannelPair.events($0.fromA).isEmpty && !ChannelPair.events($0.fromB).isEmpty })
        #expect(
            ChannelPair.events(pair.fromB) == [
                "redundancy channel to 127.0.0.1: the twin holds another key, or a certificate that our authority did not sign or that has ended"
            ])
        #expect(ChannelPair.events(pair.fromA) == ["redundancy channel to 127.0.0.1: the twin refuses our key or certificate"])
        #expect(!pair.a.isOpen && !pair.b.isOpen)
        // And it does not try again at once.
        #expect((pair.b.deadline ?? 0) > chost_now() + 500_000_000)
    }

    @Test func `A stranger on the link is refused and does not disturb the twin`() throws {
        let (identityA, identityB) = try identities(.sharedKeys([key]))
        let port = try freePort()
        let pair = try ChannelPair(identityA, identityB, port: port)
        #expect(pair.run { $0.a.isOpen && $0.b.isOpen })
        let stranger = try Sockets.make(SOCK_STREAM, IPAddress("127.0.0.1")!)
        _ = Sockets.connect(stranger, IPAddress("127.0.0.1")!, port)
        _ = pair.run { _ in
            var sent = false
            "hello, I am your twin\n".withCString { sent = send(stranger, $0, 22, Int32(MSG_NOSIGNAL)) == 22 }
            return sent
        }
        #expect(pair.run { ChannelPair.events($0.fromA).contains { $0.contains("does not speak TLS 1.3") } })
        #expect(pair.a.isOpen && pair.b.isOpen)
        pair.b.send([1, 2, 3])
        #expect(pair.run { ChannelPair.octets($0.fromA) == [1, 2, 3] })
        close(stranger)
    }
}
