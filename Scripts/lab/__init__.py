"""The lab: namespaces, real BGP peers, a wire witness and a judge around a pair of Lockstep controllers.

    processes.py  run commands, start daemons in namespaces, end exactly what was started
    topology.py   the namespaces, the service LAN, the redundancy link
    table.py      the Internet table to announce: the real one, or one made up deterministically
    daemons.py    FRR, BIRD, GoBGP, OpenBGPD: configuration, start, and what each says about its sessions
    blaster.py    bgpblast/ from Python: the peer that loads the table, and the one that checks it
    lockstep.py   the controllers: their files, their processes, their command line
    witness.py    the capture on the LAN and what it tells
    judge.py      what every peer says before and after, and the verdict
    votes.py      a witness or an etcd cluster as the third vote
    kinds.py      what can be made to fail, and what must hold afterwards
    failures.py   how each is made to fail, and what is measured around it
    cables.py     the failures of cables and switches
    checks.py     a lab that is a list of sentences, each PASS or FAIL
    forwarding.py packets through the pair's kernels, without routing protocols
    hostile.py    a neighbour that means no good
    fabric.py     the namespaces of the routing lab: two networks with the pair between them
    routers.py    FRR and BIRD with every protocol that each speaks, and what they say about their adjacencies
    routing.py    the routing lab: every protocol at once, failures, packets through the pair
    restarts.py   FRR and BIRD restart gracefully, and nobody hears of it
    demo.py       Scripts/demo and Scripts/lab-test
    soak.py       Scripts/soak: each kind with each arbiter, and the table
    bench_peers.py  Scripts/bench: the same table through other routers
    bench_igp.py    Scripts/bench --igp: OSPF and IS-IS with a thousand routers
    linkstate.py    those thousand routers

Docs/lab.md tells how to use it.
"""
