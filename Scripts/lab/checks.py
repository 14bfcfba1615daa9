"""One PASS or FAIL line for each sentence checked, and a lab that is nothing but such sentences."""

import argparse
import sys
from collections.abc import Callable
from typing import TypeVar

from . import processes
from .lockstep import build_products
from .processes import LabError, install_signal_handlers

Lab = TypeVar("Lab")


class Checks:
    def __init__(self) -> None:
        self.failed = 0

    def line(self, sentence: str, problem: object | None = None) -> None:
        self.failed += bool(problem)
        print(f"FAIL {sentence}: {str(problem).splitlines()[0]}" if problem else f"PASS {sentence}", flush=True)

    def expect(self, sentence: str, condition: object, detail: object = "") -> None:
        self.line(sentence, None if condition else detail or "it is not so")


def run_checks(name: str, words: list[str], make: Callable[[str], Lab], checks_of: Callable[[Lab, Checks], None]) -> int:
    """The program `lab.NAME`: `make` gets the folder of the programs. Returns the exit status."""
    parser = argparse.ArgumentParser(prog=f"lab.{name}")
    parser.add_argument("--programs", metavar="FOLDER", help="lockstepd and lockstepctl are there; build nothing")
    options, _ = parser.parse_known_args(words)
    install_signal_handlers()
    checks = Checks()
    try:
        checks_of(make(build_products(options.programs)), checks)
    except LabError as error:
        checks.line(f"the lab of {name} runs to its end", error)
        print(error, file=sys.stderr)
    finally:
        processes.clean_up()
    return 1 if checks.failed else 0
