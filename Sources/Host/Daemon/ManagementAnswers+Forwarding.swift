import Foundation
import Machine
import Management
import Wire

// `show fib kernel`.

extension ManagementAnswers {
    func kernelFIB() async throws -> KernelFIBView {
        let status = try await forwarding.status()
        let kernel = status.kernel
        func family(_ name: String, _ family: KernelFIBStatus.Family) -> KernelFIBView.Family {
            .init(
                family: name, wanted: family.wanted, installed: family.installed, pending: family.pending,
                failed: family.failed)
        }
        var view = KernelFIBView(
            mode: "\(status.mode)", families: [family("ipv4", kernel.ipv4), family("ipv6", kernel.ipv6)])
        view.groups = kernel.groups
        view.groupsInstalled = kernel.groupsInstalled
        view.paths = kernel.paths
        view.isGateOpen = status.isGateOpen
        view.gateFailure = status.gateFailure
        view.lastGateSwitch = TimeSpan(status.lastSwitch)
        view.longestGateSwitch = TimeSpan(status.longestSwitch)
        view.gateRepairs = status.gateRepairs
        view.devices = status.devices.map { .init(interface: $0.interface, device: $0.device, isUp: $0.isUp) }
        view.messages = kernel.messages
        view.batches = kernel.batches
        view.errors = kernel.errors
        view.lastError = kernel.lastError.isEmpty ? nil : kernel.lastError
        view.foreignChanges = kernel.foreignChanges
        view.stocktakings = kernel.stocktakings
        if kernel.stocktakings > 0 {
            let age = Double((monotonicNow() - kernel.lastStock).inNanoseconds) / 1e9
            view.lastStocktaking = .init(
                time: Date().addingTimeInterval(-age), reason: kernel.lastStockReason,
                duration: TimeSpan(kernel.lastStockDuration), differences: kernel.lastStockDifferences)
        }
        return view
    }
}
