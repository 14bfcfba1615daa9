// The real world of a controller.
//
// Everything that can surprise us lives here: devices, sockets, clocks, disks, signals. Two threads matter.
//
//   edge      one epoll loop: packet devices, replication channel, timer, commands. It owns the `Controller` and so the
//             line card, the log, replication and mastership. It never waits for anything but epoll.
//   engine    one queue of work, one `Engine`. It never touches a socket.
//   utility   encodes snapshots, writes the datastore, answers management. Nothing waits for it.
//   watchdog  looks whether the first two make progress.
//
// Rooms: Edge/ packets and the loop; Channel/ the twin; Arbiter/ the lease file; Daemon/ configuration, management,
// signals, log.
