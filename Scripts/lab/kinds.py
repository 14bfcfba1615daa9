"""What can be made to fail, and what must hold afterwards.

`then` says who must be the router when it is over: the `twin`, because it was fit to take over; the `same`, because
nothing had happened to it that the twin could mend; or `either`. `alone` says what the same failure does to a router
with one controller and the lab's hold time of 9 s, so that nobody takes a session for saved that nothing threatened.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    what: str
    then: str
    alone: str
    # Seconds from the failure to its end: a link comes back, a frozen process wakes, a dead one is started again.
    lasts: float = 1.5
    # Whether sessions may be lost: nobody could have kept them.
    may_lose: bool = False
    # Only where a third vote decides.
    needs_vote: bool = False


LOSES, KEEPS = "loses all", "keeps all"

ALL = {
    # A controller fails.
    "graceful": Kind("the operator asks for a switchover", "twin", KEEPS),
    "kill": Kind("SIGKILL of the active", "twin", LOSES),
    "freeze": Kind("SIGSTOP of the active, SIGCONT later", "twin", KEEPS, lasts=2.0),
    "crash": Kind("SIGSEGV in the active", "twin", LOSES),
    "trap": Kind("the engine of the active traps on a record of ours", "twin", LOSES),
    "hang": Kind("the engine of the active hangs", "twin", LOSES),
    "standby": Kind("SIGKILL of the standby, which then joins again", "same", KEEPS),
    "poison": Kind("a peer announces a prefix on which every engine traps", "twin", LOSES),
    "datastore": Kind("the standby loses its datastore, comes back, and then the active is killed", "twin", LOSES),
    "power": Kind("both controllers are killed at once and started again", "either", LOSES, may_lose=True),
    # Cables.
    "cut": Kind("the redundancy link is cut for two seconds", "same", KEEPS, lasts=2.0),
    "unplug": Kind("the active loses its port on the LAN for two seconds", "twin", KEEPS, lasts=2.0),
    "unplug-standby": Kind("the standby loses its port on the LAN for two seconds", "same", KEEPS, lasts=2.0),
    "cables-active": Kind("the active loses every cable for twelve seconds", "twin", LOSES, lasts=12.0),
    "stranded": Kind("the active loses every cable for twelve seconds but the one to the vote", "twin", LOSES, lasts=12.0,
                     needs_vote=True),
    "cables-standby": Kind("the standby loses every cable for two seconds", "same", KEEPS, lasts=2.0),
    "flaps": Kind("redundancy link and LAN port of the active go up and down for five seconds", "either", KEEPS, lasts=5.0),
    "switch": Kind("the whole LAN is down for two seconds", "same", KEEPS, lasts=2.0),
    "deaf": Kind("the active hears nothing from the LAN for twelve seconds", "twin", LOSES, lasts=12.0),
    "mute": Kind("nothing that the active sends comes out on the LAN for twelve seconds", "twin", LOSES, lasts=12.0),
    "deaf-standby": Kind("the standby hears nothing from the LAN for three seconds", "same", KEEPS, lasts=3.0),
    "mute-standby": Kind("nothing that the standby sends comes out on the LAN for three seconds", "same", KEEPS, lasts=3.0),
    # Somebody who does not belong there, in the place of the standby.
    "wrong-key": Kind("in the standby's place comes a controller with another key", "same", KEEPS, lasts=7.0),
    "wrong-pair": Kind("in the standby's place comes a controller of another pair", "same", KEEPS, lasts=7.0),
    "wrong-letter": Kind("in the standby's place comes a controller with the letter of the active", "same", KEEPS, lasts=7.0),
    # The third vote.
    "vote-down": Kind("the witness, or etcd, is killed and started again five seconds later", "same", KEEPS, lasts=5.0,
                      needs_vote=True),
    # A neighbour.
    "hostile": Kind("a neighbour sends garbage, floods, blind resets and mutated UPDATEs", "same", KEEPS),
    "control": Kind("redundancy off: the only controller is killed and started again", "same", LOSES, may_lose=True),
}

# Of a controller's own: what `all` means.
OF_CONTROLLERS = ("graceful", "kill", "freeze", "crash", "trap", "hang", "standby", "poison")
CABLES = ("cut", "unplug", "unplug-standby", "cables-active", "stranded", "cables-standby", "flaps", "switch",
          "deaf", "mute", "deaf-standby", "mute-standby")
IMPOSTORS = ("wrong-key", "wrong-pair", "wrong-letter")
# Only when asked for by name.
OTHERS = CABLES + IMPOSTORS + ("datastore", "vote-down", "power", "hostile")
# The rows of Scripts/soak, in the order in which they are made: the one that costs all sessions comes last.
MATRIX = (("graceful", "kill", "freeze", "crash", "trap", "hang", "standby", "datastore") + CABLES + IMPOSTORS
          + ("vote-down", "power"))


# What can happen to a router with one controller.
OF_ONE = ("kill", "freeze", "crash", "trap", "hang", "unplug", "cables-active", "flaps", "switch", "deaf", "mute")


def fits(kind: str, arbiter: str, with_vote: tuple[str, ...]) -> bool:
    if arbiter == "alone":
        return kind in OF_ONE
    return not ALL[kind].needs_vote or arbiter in with_vote
