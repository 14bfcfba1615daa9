import Configuration
import Records

extension Forwarding.Settings {
    /// From the controller's file.
    init(_ file: ControllerFile) {
        let configuration = file.forwarding
        let devices = RouterDevices.Settings(
            pair: file.pair, controller: file.controller.letter,
            bindings: file.interfaces.map { .init(name: $0.name, device: $0.device) }, table: configuration.table)
        // Two controllers of one namespace program next to each other: 512 ranges, by name.
        let range = RouterDevices.hash("\(file.pair)/\(file.controller.letter)") & 511
        var fib = KernelFIB.Settings(firstObject: 0x4000_0000 + range * KernelFIB.rangeSize)
        fib.table = configuration.table
        fib.routeProtocol = configuration.routeProtocol
        fib.metric = configuration.metric
        self.init(fib: fib, devices: devices)
        mode =
            switch configuration.mode {
            case .kernel: .kernel
            case .memory: .memory
            case .none: .none
            }
        openFor = configuration.hold ?? (file.isAlone ? nil : .milliseconds(100))
        staleTime = configuration.staleTime
        staysOnExit = configuration.staysOnExit
    }
}
