import Glibc
import Wire

/// Whether this kernel can do what forwarding needs, tried out on tables that go again at once.
enum ForwardingProbe {
    static func failures() -> [String] {
        var list: [String] = []
        do {
            let socket = try NetlinkSocket(NetlinkProtocol.netfilter, receiveBuffer: 256 << 10)
            let table = "lockstep-probe-\(getpid())"
            let gate = FilterTransaction(socket, table: table)
            gate.replaceTable(.netdev)
            gate.set("open", .netdev, .device, hasTimeouts: true)
            // On the loopback device, and everything passes.
            gate.chain("in", .netdev, .ingress, priority: -500, devices: ["lo"])
            gate.chain("out", .netdev, .egress, priority: -500, devices: ["lo"])
            gate.removeTable(.netdev)
            try gate.commit()
            let guards = FilterTransaction(socket, table: table)
            guards.replaceTable(.inet)
            guards.chain("arrive", .inet, .prerouting, priority: -310)
            guards.removeTable(.inet)
            guards.replaceTable(.arp)
            guards.chain("arrive", .arp, .arpInput, priority: 0)
            guards.removeTable(.arp)
            try guards.commit()
        } catch {
            list.append(
                "'forwarding: kernel' needs nf_tables with the families netdev (ingress and egress, Linux 5.16), "
                    + "inet and arp, and the kernel says: \(error); load nf_tables, or say 'forwarding: memory'")
        }
        do {
            let socket = try NetlinkSocket()
            try socket.dump(RouteMessage.getNextHop, { $0.nextHopHeader(KernelFamily.unspecified) }) { _ in }
        } catch {
            list.append(
                "'forwarding: kernel' needs next-hop objects (Linux 5.3), and the kernel says: \(error); "
                    + "say 'forwarding: memory'")
        }
        return list
    }
}
