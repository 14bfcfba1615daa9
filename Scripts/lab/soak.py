"""Scripts/soak: each kind of failure with each arbiter, many times, and the table that comes of it.

Every window is one line of JSON in FOLDER/windows.jsonl as soon as it is over; what a failed one left behind is in
FOLDER/evidence. A run that was interrupted goes on where it stopped: a window that has its line is not made again.
"""

import argparse
import json
import os
import statistics
import sys
import time
from typing import NoReturn

from . import demo, failures, kinds, processes
from .processes import Answer, LabError, install_signal_handlers, say
from .votes import ALONE, ARBITERS, WITH_VOTE

_BEGIN, _END = "<!-- soak: begin -->", "<!-- soak: end -->"
# A window in which somebody with a controller's priority had to wait for so long says nothing about times.
_STARVED_MS = 20


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="Scripts/soak",
        description="Each kind of failure with each arbiter, N times, while updates flow; then the table. Options that are not"
                    " listed here are those of Scripts/demo (--routes, --rate, --hold, --peers, --offload, --etcd-members, …).")
    parser.add_argument("--kinds", default="all", metavar="A,B", help="rows: " + ", ".join(kinds.MATRIX + ("poison", "hostile"))
                        + "; all: every one but the last two (default)")
    parser.add_argument("--arbiters", default="all", metavar="A,B",
                        help="columns: " + ", ".join(ARBITERS) + " (default: all of them), and " + ALONE
                        + ": one controller without a twin, to compare")
    parser.add_argument("--repeat", type=int, default=100, metavar="N", help="windows of each cell (default: 100)")
    parser.add_argument("--folder", default="soak",
                        help="results and evidence (default: soak); a run goes on with what is there")
    parser.add_argument("--programs", metavar="FOLDER",
                        help="lockstepd, lockstepctl and lockstep-witness are there; build nothing")
    parser.add_argument("--minutes", type=float, metavar="N", help="begin no window after so many minutes")
    parser.add_argument("--table", action="store_true", help="run nothing, print the table of what is in the folder")
    parser.add_argument("--into", metavar="FILE", help=f"write the table there, too, between {_BEGIN} and {_END}")
    options, rest = parser.parse_known_args(words)
    rows = [k for word in options.kinds.split(",") for k in (kinds.MATRIX if word == "all" else [word])]
    columns = [a for word in options.arbiters.split(",") for a in (ARBITERS if word == "all" else [word])]
    for word, known in [(k, kinds.MATRIX + ("poison", "hostile")) for k in rows] + [(a, ARBITERS + (ALONE,)) for a in columns]:
        if word not in known:
            parser.error(f"'{word}' is none of {', '.join(known)}")
    options.rows, options.columns, options.rest = rows, columns, rest
    return options


class Record:
    """What has been measured so far."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, "windows.jsonl")
        self.lines: list[Answer] = []
        if os.path.exists(self.path):
            with open(self.path) as file:
                # The last line may be half a one.
                whole = [line for line in file if line.endswith("\n")]
            self.lines = [json.loads(line) for line in whole]
            with open(self.path + ".new", "w") as file:
                file.writelines(whole)
            os.replace(self.path + ".new", self.path)

    def has(self, kind: str, arbiter: str, number: int) -> bool:
        return any((line["kind"], line["arbiter"], line["number"]) == (kind, arbiter, number) for line in self.lines)

    def add(self, line: Answer) -> None:
        self.lines.append(line)
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")


def _to_do(options: argparse.Namespace, record: Record, number: int, arbiter: str) -> list[str]:
    return [kind for kind in options.rows
            if kinds.fits(kind, arbiter, WITH_VOTE) and not record.has(kind, arbiter, number)]


def run(options: argparse.Namespace, record: Record) -> None:
    """Round by round, so that an early end leaves every cell about equally full."""
    until = time.monotonic() + options.minutes * 60 if options.minutes else None
    broken_labs = 0
    for number in range(options.repeat):
        for arbiter in options.columns:
            while _to_do(options, record, number, arbiter):
                if until and time.monotonic() > until:
                    return
                try:
                    _run_lab(options, record, number, arbiter, until)
                    broken_labs = 0
                except LabError as error:
                    broken_labs += 1
                    say(f"the lab broke: {error}")
                    if broken_labs == 3:
                        raise
                finally:
                    processes.clean_up()
                if until and time.monotonic() > until:
                    return


def _run_lab(options: argparse.Namespace, record: Record, number: int, arbiter: str, until: float | None) -> None:
    todo = _to_do(options, record, number, arbiter)
    words = [word for kind in todo for word in ("--kind", kind)] + ["--arbiter", arbiter] + options.rest
    if options.programs:
        words += ["--programs", options.programs]
    if not any(word.startswith(("--routes", "--quick")) for word in options.rest):
        words.append("--quick")
    session = demo.Session(demo.arguments("soak", words))
    say(f"round {number + 1}, arbiter {arbiter}: {', '.join(todo)}")
    session.prepare()
    for kind in todo:
        if until and time.monotonic() > until:
            return
        say()
        began = time.time()
        outcome, broken = session.run_one(kind, number, os.path.join(options.folder, "evidence", arbiter))
        record.add(dict(outcome.record(), arbiter=arbiter, at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
                        took_s=round(time.time() - began, 1), routes=session.facts["routes4"] + session.facts["routes6"],
                        hold=session.hold, rate=session.options.rate))
        if broken:
            failures.recover(session.lab)


# -- the table


def _cell(lines: list[Answer]) -> str:
    if not lines:
        return "–"
    failed = sum(not line["passed"] for line in lines)
    windows = f"{len(lines)} ({failed} failed)" if failed else f"{len(lines)}"
    timed = [line for line in lines if (line.get("stall_ms") or 0) < _STARVED_MS]
    first = sorted(line["first_frame_ms"] for line in timed if line["first_frame_ms"] is not None)
    figures = f"{statistics.median(first):.0f}, {first[-(-len(first) * 99 // 100) - 1]:.0f}" if first else "–"
    silence = [line["whole_silence_ms"] for line in timed if line.get("whole_silence_ms") is not None]
    lost = sum(line["sessions_lost"] for line in lines)
    return f"{windows} / {lost} / {figures} / {f'{max(silence):.0f}' if silence else '–'}"


def table(record: Record) -> str:
    """Markdown."""
    rows = [kind for kind in kinds.ALL if any(line["kind"] == kind for line in record.lines)]
    columns = [arbiter for arbiter in ARBITERS + (ALONE,) if any(line["arbiter"] == arbiter for line in record.lines)]
    # Measured, where it is; else what is to be expected.
    expected = [] if ALONE in columns else ["one controller"]
    names = expected + ["one controller" if arbiter == ALONE else f"`{arbiter}`" for arbiter in columns]
    text = ["| kind | then active | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    for kind in rows:
        cells = [_cell([line for line in record.lines if (line["kind"], line["arbiter"]) == (kind, arbiter)])
                 for arbiter in columns]
        text.append(f"| `{kind}` | {kinds.ALL[kind].then} | "
                    + " | ".join([kinds.ALL[kind].alone for _ in expected] + cells) + " |")
    return "\n".join(text)


def complaints(record: Record) -> str:
    """What was wrong where, one line for each cell with failed windows."""
    text = []
    for kind in kinds.ALL:
        for arbiter in ARBITERS:
            cell = [line for line in record.lines if (line["kind"], line["arbiter"]) == (kind, arbiter)]
            bad = [line for line in cell if not line["passed"]]
            if bad:
                # What was on the wire follows from the rest, and is long.
                said = sorted(bad[-1]["problems"], key=lambda problem: bool(problem.startswith("on the wire")))
                text.append(f"- `{kind}` with `{arbiter}`, {len(bad)} of {len(cell)}: {' '.join(said[0].split())[:160]}")
    return "\n".join(["What failed, and the first thing that was wrong in the last such window:", "", *text]) if text else ""


def summary(record: Record, options: argparse.Namespace) -> str:
    """Where the table comes from, in one line, and how to read it."""
    lines = record.lines
    if not lines:
        return ""
    command = " ".join(["Scripts/soak", *(["--kinds", options.kinds] if options.kinds != "all" else []),
                        *(["--arbiters", options.arbiters] if options.arbiters != "all" else []), *options.rest])
    starved = sum((line.get("stall_ms") or 0) >= _STARVED_MS for line in lines)
    sizes = sorted({line["routes"] for line in lines})
    return (f"`{command}`: {len(lines):,} windows, {sum(not line['passed'] for line in lines)} failed, "
            f"{' and '.join(f'{size:,}' for size in sizes)} routes, {lines[0]['rate']:,} changes a second, hold time"
            f" {lines[0]['hold']} s. In {starved} of them the machine let a due thread wait for {_STARVED_MS} ms or more; they"
            " count for the sessions and not for the times.")


def write_into(path: str, text: str) -> None:
    with open(path) as file:
        page = file.read()
    if _BEGIN not in page or _END not in page:
        raise LabError(f"{path} has no lines {_BEGIN} and {_END}")
    head, rest = page.split(_BEGIN, 1)
    with open(path, "w") as file:
        file.write(head + _BEGIN + "\n" + text + "\n" + _END + rest.split(_END, 1)[1])


def main() -> NoReturn:
    install_signal_handlers()
    words = sys.argv[1:]
    options = _arguments(words)
    status = 0
    record = Record(options.folder)
    try:
        if not options.table:
            run(options, record)
    except LabError as error:
        print(f"\nsoak: {error}", file=sys.stderr)
        status = 1
    finally:
        processes.clean_up()
        text = "\n\n".join(part for part in (summary(record, options), table(record), complaints(record)) if part)
        print("\n" + text)
        for line in record.lines:
            if not line["passed"]:
                print(f"\nFAILED {line['arbiter']} {line['kind']} {line['number']} ({line['at']}):\n  "
                      + "\n  ".join(line["problems"]))
        if options.into:
            write_into(options.into, text)
    sys.exit(status or int(any(not line["passed"] for line in record.lines)))


if __name__ == "__main__":
    main()
