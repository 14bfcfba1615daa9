"""Commands, daemons and their end.

Everything the lab starts is registered here and ended by process id, whatever way the script itself
ends. Nothing is ever looked up by name: other routers may run on the same machine.
"""

import atexit
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import IO, Any, NoReturn, TypeVar

T = TypeVar("T")
# What a program answers in JSON, by its keys.
Answer = dict[str, Any]

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_started: list["Process"] = []
_cleanups: list[Callable[[], object]] = []
_began = time.monotonic()
quiet = False


class LabError(Exception):
    """Something about the lab itself went wrong; the message is for the operator."""


def say(text: object = "") -> None:
    """One line of the timeline on the screen."""
    if not quiet:
        print(f"[{time.monotonic() - _began:8.3f}] {text}" if text else "", flush=True)


def run(*command: object, check: bool = True, timeout: float = 60, feed: str | None = None) -> str:
    """Runs a command to its end and returns its standard output."""
    try:
        result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, timeout=timeout, input=feed)
    except subprocess.TimeoutExpired:
        if check:
            raise LabError(f"{' '.join(map(str, command))} did not end within {timeout:g} s") from None
        return ""
    if check and result.returncode != 0:
        raise LabError(f"{' '.join(map(str, command))} failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def _die_with_parent() -> None:
    # If this script is killed outright, no daemon may stay behind in a namespace. A new session keeps the
    # terminal's Ctrl-C away from the daemons: they are ended in order by the clean-up instead.
    os.setsid()
    # Writing a core of some hundred MB would hold a crashed process, and its sockets, for seconds.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Process:
    """One daemon, in a namespace or not. `ip netns exec` execs, so its pid is the daemon's own."""

    def __init__(self, command: Sequence[object], namespace: str | None = None, log: str | None = None, pipes: bool = False,
                 environment: dict[str, str] | None = None, cwd: str | None = None) -> None:
        words = [str(word) for word in command]
        if namespace:
            words = ["ip", "netns", "exec", namespace] + words
        self.command = command
        self.log = log
        output: IO[bytes] | int = open(log, "ab") if log else subprocess.DEVNULL
        self.popen: subprocess.Popen[str] = subprocess.Popen(
            words, preexec_fn=_die_with_parent, cwd=cwd,
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else output,
            stderr=output, text=True,
            env=dict(os.environ, **environment) if environment else None)
        if not isinstance(output, int):
            output.close()
        self.pid = self.popen.pid
        _started.append(self)

    def pipes(self) -> tuple[IO[str], IO[str]]:
        """Its standard input and output, if it was started with pipes."""
        if self.popen.stdin is None or self.popen.stdout is None:
            raise LabError(f"{self.command[0]} was started without pipes")
        return self.popen.stdin, self.popen.stdout

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: int) -> float:
        """Sends a signal and returns the wall time just before it."""
        at = time.time()
        os.kill(self.pid, number)
        return at

    def stop(self, patience: float = 2.0) -> int:
        """Asks politely, then insists. Returns the exit status."""
        if self.alive:
            # A stopped process would never see SIGTERM.
            self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
            try:
                self.popen.wait(patience)
            except subprocess.TimeoutExpired:
                self._end_group()
        self._end_group()
        return self.popen.wait()

    def kill(self) -> float:
        """SIGKILL. Returns the wall time just before it."""
        at = time.time()
        if self.alive:
            self.popen.kill()
        self.popen.wait()
        return at

    def _end_group(self) -> None:
        # Some daemons (OpenBGPD) run as several processes; all are in the session made for this one.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def tail(self, lines: int = 8) -> str:
        if self.log is None:
            return ""
        try:
            with open(self.log, errors="replace") as file:
                return "".join(file.readlines()[-lines:]).rstrip()
        except OSError:
            return ""


def descendants(pid: int) -> list[int]:
    """The process and all its children, for daemons that share their work among several."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children") as file:
                    found.extend(int(word) for word in file.read().split())
        except OSError:
            pass
    return found


def fine_cpu_seconds(pid: int) -> float:
    """Processor time of a process and its children so far, in seconds, by the scheduler's own counters: summed over all
    threads that still live."""
    total = 0
    for one in descendants(pid):
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/schedstat") as file:
                    total += int(file.read().split()[0])
        except (OSError, IndexError, ValueError):
            pass
    return total / 1e9


def peak_memory(pid: int) -> int:
    """Largest resident size so far, in octets, summed over a daemon's processes.

    A lockstep-keeper lives on the very memory of its lockstepd (clone with CLONE_VM), so it is not counted again.
    """
    total = 0
    for one in descendants(pid):
        try:
            with open(f"/proc/{one}/comm") as file:
                if file.read().strip() == "lockstep-keeper":
                    continue
            with open(f"/proc/{one}/status") as file:
                for line in file:
                    if line.startswith("VmHWM:"):
                        total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


class Stalls:
    """Watches the machine: how late somebody runs who has the priority of a controller and is due."""

    _STEP = 0.005

    def __init__(self) -> None:
        self.longest = 0.0
        self.waiting: float | None = None
        self._began, self._pressure = time.monotonic(), self._waited()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @staticmethod
    def _waited() -> float | None:
        """Seconds in which at least one task waited for a processor, since the machine was started."""
        try:
            with open("/proc/pressure/cpu") as file:
                return int(file.readline().rsplit("total=", 1)[1]) / 1e6
        except (OSError, IndexError, ValueError):
            return None

    def _watch(self) -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -15)
        except OSError:
            pass
        before = time.monotonic()
        while not self._done.is_set():
            time.sleep(self._STEP)
            now = time.monotonic()
            self.longest = max(self.longest, now - before - self._STEP)
            before = now

    def end(self) -> float:
        """Seconds of the longest stall."""
        self._done.set()
        self._thread.join()
        now = self._waited()
        if now is not None and self._pressure is not None:
            self.waiting = round((now - self._pressure) / (time.monotonic() - self._began), 3)
        return self.longest


def on_exit(action: Callable[[], object]) -> None:
    """Registers a clean-up; they run in reverse order after all processes have ended."""
    _cleanups.append(action)


def clean_up() -> None:
    while _started:
        process = _started.pop()
        try:
            process.stop(patience=0.5)
        except Exception as error:
            print(f"lab: could not end process {process.pid}: {error}", file=sys.stderr)
    while _cleanups:
        action = _cleanups.pop()
        try:
            action()
        except Exception as error:
            print(f"lab: clean-up failed: {error}", file=sys.stderr)


def _stop_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def install_signal_handlers() -> None:
    """Ctrl-C and SIGTERM end the script through its ordinary clean-up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop_on_signal)


atexit.register(clean_up)


def wait_until(condition: Callable[[], T | None], timeout: float, what: str, interval: float = 0.1) -> T:
    """Waits for a condition and returns its value; LabError when it does not come true in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)
