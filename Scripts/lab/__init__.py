"""The lab: namespaces, real BGP peers, a wire witness and a judge around a pair of Lockstep controllers.

    processes.py  run commands, start daemons in namespaces, end exactly what was started
    topology.py   the namespaces, the service LAN, the redundancy link
    table.py      the Internet table to announce: the real one, or one made up deterministically
    daemons.py    FRR, BIRD, GoBGP, OpenBGPD: configuration, start, and what each says about its sessions
    blaster.py    bgpblast.c from Python: the peer that loads the table, and the one that checks it
    lockstep.py   the controllers: their files, their processes, their command line
    witness.py    the capture on the LAN and what it tells
    judge.py      what every peer says before and after, and the verdict
    failures.py   the ways in which a controller is made to fail
    forwarding.py packets through the pair's kernels, without routing protocols
    hostile.py    a neighbour that means no good
    demo.py       Scripts/demo, Scripts/soak and Scripts/lab-test
    bench_peers.py  Scripts/bench: the same table through other routers

Docs/lab.md tells how to use it.
"""
