"""bgpblast from Python: builds it, starts it in a namespace, speaks its line protocol."""

import glob
import json
import os
import select
import time

from .processes import LabError, Process, run

_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bgpblast")


def build(folder, source=_SOURCE):
    """Compiles a C program of the lab, one file or a folder of them, into `folder` and returns its path."""
    program = os.path.join(folder, os.path.splitext(os.path.basename(source))[0])
    files = sorted(glob.glob(os.path.join(source, "*.[ch]"))) if os.path.isdir(source) else [source]
    if not os.path.exists(program) or os.path.getmtime(program) < max(os.path.getmtime(file) for file in files):
        run("gcc", "-O2", "-Wall", "-Wextra", "-o", program, *(file for file in files if file.endswith(".c")))
    return program


class LineProgram:
    """A program that answers every line on its standard input with one line of JSON."""

    def __init__(self, command, namespace, log):
        self.process = Process(command, namespace=namespace, log=log, pipes=True)

    def ask(self, line, timeout=20):
        pipe = self.process.popen
        try:
            pipe.stdin.write(line + "\n")
            pipe.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise LabError(f"{self.process.command[0]} has ended: {self.process.tail()}") from None
        ready, _, _ = select.select([pipe.stdout], [], [], timeout)
        answer = pipe.stdout.readline() if ready else ""
        if not answer:
            raise LabError(f"{os.path.basename(str(self.process.command[0]))} does not answer {line!r}: {self.process.tail()}")
        value = json.loads(answer)
        if "error" in value:
            raise LabError(f"{line!r}: {value['error']}")
        return value

    def stop(self):
        if self.process.alive:
            try:
                self.ask("quit", timeout=3)
            except LabError:
                pass
        self.process.stop()


class Blaster(LineProgram):
    """One BGP session that announces a table, receives one, or both."""

    def __init__(self, program, namespace, log, local, remote, asn, peer_as, hold=30, table=None,
                 passive=False, listen=False, password=None, count_only=False):
        self.local, self.asn = local, asn
        self.table = table
        self.family = 6 if ":" in local else 4
        command = [program, "--local", local, "--remote", remote, "--as", asn, "--peer-as", peer_as, "--hold", hold]
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

    def status(self):
        return self.ask("status")

    def digest(self):
        return self.ask("digest")

    @property
    def routes(self):
        status = self.status()
        return status[f"routes{self.family}"]


def wait_for_routes(blaster, count, timeout, what):
    """Waits until a sink holds that many routes. Polls gently: asking costs the sink time."""
    deadline = time.monotonic() + timeout
    while True:
        status = blaster.status()
        if status[f"routes{blaster.family}"] >= count:
            return status
        if time.monotonic() > deadline:
            raise LabError(f"{what}: {status[f'routes{blaster.family}']} of {count} routes after {timeout:g} s"
                           f" (session {status['state']}, events {status['events'][-3:]})")
        time.sleep(0.2)
