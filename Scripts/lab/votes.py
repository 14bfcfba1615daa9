"""A third vote for the pair: a lockstep-witness or an etcd cluster, in a namespace of its own (Topology.add_vote).

The keys are those of Docs/configuration.md.
"""

import os
import secrets
import sys

from .processes import LabError, Process, run, wait_until
from .topology import VOTERS, Topology

# The second name is what the impostor of `wrong-pair` calls itself: its vote must not be what keeps it silent.
PAIR, OTHER_PAIR = "lab", "elsewhere"


def write_key(path: str) -> str:
    """A shared secret, readable by the owner only."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")
    return path


class Vote:
    """What both have in common: processes that are started, killed, and started again with their files."""

    def __init__(self, namespace: str, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self.namespace, self.folder = namespace, folder
        self.members: list[Process] = []

    @property
    def alive(self) -> bool:
        return bool(self.members) and all(member.alive for member in self.members)

    def start(self) -> None:
        self.members = [Process(command, namespace=self.namespace, log=os.path.join(self.folder, f"{name}.log"), cwd=self.folder)
                        for name, command in self.commands()]

    def kill(self) -> float:
        """SIGKILL of every member. Returns the wall time just before the first."""
        return min(member.kill() for member in self.members)

    def stop(self) -> None:
        for member in self.members:
            member.stop()

    def wait_ready(self, timeout: float = 20) -> None:
        def ready() -> bool:
            dead = [member for member in self.members if not member.alive]
            if dead:
                raise LabError(f"{dead[0].command[0]} has ended: {dead[0].tail()}")
            return self.answers()
        wait_until(ready, timeout, f"the vote answers: {self.members[0].tail(3)}", interval=0.1)

    def commands(self) -> list[tuple[str, list[str]]]:
        """[(name, command line)] of the members."""
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def arbiter(self) -> str:
        """`arbiter` of a controller's file."""
        raise NotImplementedError


class Witness(Vote):
    def __init__(self, namespace: str, folder: str, programs: str) -> None:
        super().__init__(namespace, folder)
        self.program = os.path.join(programs, "lockstep-witness")
        if not os.path.exists(self.program):
            raise LabError(f"{self.program} is missing: swift build -c release --product lockstep-witness")
        self.key = write_key(os.path.join(folder, "witness.key"))
        with open(os.path.join(folder, "witness.yaml"), "w") as file:
            # A witness without its file waits for the longest lease: no longer than the pair's own (the default).
            file.write(f"listen: {VOTERS[0]}\nstore: {folder}/witness.store\nlease-maximum: 2s\npairs:\n"
                       f"  {PAIR}: {{key-file: witness.key}}\n  {OTHER_PAIR}: {{key-file: witness.key}}\n")

    def commands(self) -> list[tuple[str, list[str]]]:
        return [("witness", [self.program, "--config", os.path.join(self.folder, "witness.yaml")])]

    def answers(self) -> bool:
        return run("ip", "netns", "exec", self.namespace, "ss", "-Hltn", "sport", "=", ":7181").strip() != ""

    def arbiter(self) -> str:
        return f"arbiter: {{witness: {{address: {VOTERS[0]}, key-file: {self.key}}}}}"


class Etcd(Vote):
    """One member or three, without TLS, which the product accepts with a warning."""

    def __init__(self, namespace: str, folder: str, members: int = 1) -> None:
        super().__init__(namespace, folder)
        self.addresses = VOTERS[:members]

    def commands(self) -> list[tuple[str, list[str]]]:
        names = [f"etcd-{number}" for number in range(len(self.addresses))]
        cluster = ",".join(f"{name}=http://{address}:2380" for name, address in zip(names, self.addresses))
        return [(name, ["etcd", "--name", name, "--data-dir", os.path.join(self.folder, name),
                        "--logger", "zap", "--log-level", "warn",
                        "--listen-client-urls", f"http://{address}:2379",
                        "--advertise-client-urls", f"http://{address}:2379",
                        "--listen-peer-urls", f"http://{address}:2380",
                        "--initial-advertise-peer-urls", f"http://{address}:2380",
                        "--initial-cluster", cluster, "--initial-cluster-state", "new"])
                for name, address in zip(names, self.addresses)]

    def answers(self) -> bool:
        question = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=1).read().decode())"
        return all("true" in run("ip", "netns", "exec", self.namespace, sys.executable, "-c", question,
                                 f"http://{address}:2379/health", check=False) for address in self.addresses)

    def arbiter(self) -> str:
        endpoints = ", ".join(f"\"http://{address}:2379\"" for address in self.addresses)
        return f"arbiter: {{etcd: {{endpoints: [{endpoints}]}}}}"


ARBITERS = ("leasefile", "link", "witness", "etcd")
# In the place of an arbiter: one controller without a twin, to compare.
ALONE = "alone"
WITH_VOTE = ("witness", "etcd")


def make_vote(arbiter: str, topology: Topology, controllers: dict[str, str], folder: str, programs: str,
              members: int = 1) -> Vote | None:
    """The vote that the arbiter needs, or None. Starts nothing."""
    if arbiter not in WITH_VOTE:
        return None
    namespace = topology.add_vote(controllers)
    folder = os.path.join(folder, "vote")
    return Witness(namespace, folder, programs) if arbiter == "witness" else Etcd(namespace, folder, members)
