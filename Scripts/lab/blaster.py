"""bgpblast from Python: builds it, starts it in a namespace, speaks its line protocol."""

import glob
import json
import os
import select
from collections.abc import Sequence
from typing import TypedDict, cast

from .processes import Answer, LabError, Process, run
from .table import Table

_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bgpblast")


def build(folder: str, source: str = _SOURCE) -> str:
    """Compiles a C program of the lab, one file or a folder of them, into `folder` and returns its path."""
    program = os.path.join(folder, os.path.splitext(os.path.basename(source))[0])
    files = sorted(glob.glob(os.path.join(source, "*.[ch]"))) if os.path.isdir(source) else [source]
    if not os.path.exists(program) or os.path.getmtime(program) < max(os.path.getmtime(file) for file in files):
        run("gcc", "-O2", "-Wall", "-Wextra", "-o", program, *(file for file in files if file.endswith(".c")))
    return program


class LineProgram:
    """A program that answers every line on its standard input with one line of JSON."""

    def __init__(self, command: Sequence[object], namespace: str, log: str) -> None:
        self.process = Process(command, namespace=namespace, log=log, pipes=True)
        self._questions, self._answers = self.process.pipes()

    def ask(self, line: str, timeout: float = 20) -> Answer:
        try:
            self._questions.write(line + "\n")
            self._questions.flush()
        except (BrokenPipeError, ValueError):
            raise LabError(f"{self.process.command[0]} has ended: {self.process.tail()}") from None
        ready, _, _ = select.select([self._answers], [], [], timeout)
        answer = self._answers.readline() if ready else ""
        if not answer:
            raise LabError(f"{os.path.basename(str(self.process.command[0]))} does not answer {line!r}: {self.process.tail()}")
        value: Answer = json.loads(answer)
        if "error" in value:
            raise LabError(f"{line!r}: {value['error']}")
        return value

    def stop(self) -> None:
        if self.process.alive:
            try:
                self.ask("quit", timeout=3)
            except LabError:
                pass
        self.process.stop()


class Event(TypedDict):
    """Something that happened to its session."""
    at: float
    wall: float
    text: str


class Status(TypedDict):
    """What it answers to `status`, as far as the lab looks at it. Times are of the monotonic clock, 0: never."""
    state: str
    now: float
    wall: float
    established_count: int
    dropped_count: int
    established_at: float
    malformed: int
    updates_in: int
    routes4: int
    routes6: int
    queued_bytes: int
    first_table_byte: float
    last_table_byte: float
    complete_at: float
    longest_gap: float
    stamped: int
    latency_median: float
    latency_p99: float
    latency_max: float
    events: list[Event]


class Blaster(LineProgram):
    """One BGP session that announces a table, receives one, or both."""

    def __init__(self, program: str, namespace: str, log: str, local: str, remote: str, asn: int, peer_as: int,
                 hold: int = 30, table: Table | None = None, passive: bool = False, listen: bool = False,
                 password: str | None = None, count_only: bool = False) -> None:
        self.local, self.asn = local, asn
        self.table = table
        self.family = 6 if ":" in local else 4
        command: list[object] = [program, "--local", local, "--remote", remote, "--as", asn, "--peer-as", peer_as, "--hold", hold]
        if table:
            command += ["--attributes", table.attributes]
            command += ["--v4", table.v4] if self.family == 4 else ["--v6", table.v6]
        if passive:
            command.append("--passive")
        elif listen:
            command.append("--listen")
        if count_only:
            command.append("--count-only")
        if password:
            command += ["--md5", password]
        super().__init__(command, namespace, log)

    def status(self) -> Status:
        return cast(Status, self.ask("status"))

    def digest(self) -> Answer:
        return self.ask("digest")

    @property
    def routes(self) -> int:
        status = self.status()
        return status["routes6"] if self.family == 6 else status["routes4"]
