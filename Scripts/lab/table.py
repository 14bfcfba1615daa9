"""The Internet table that the lab announces.

The real one (606,123 IPv4 and 27,317 IPv6 routes of 2015-11-01) is used where it is at hand: the folder
named by LOCKSTEP_TABLE, or `shared/data` beside the repository. Otherwise a table of like shape is made,
always the same: prefix lengths, routes per attribute set, path lengths and communities follow the real one.
"""

import gzip
import os
from collections.abc import Callable
from typing import TextIO

from .processes import LabError, say

FULL4, FULL6 = 606_123, 27_317
QUICK4, QUICK6 = 20_000, 2_000
_REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Table:
    """Plain text files in `folder`, ready for bgpblast."""

    def __init__(self, folder: str, count4: int, count6: int, source: str) -> None:
        self.v4 = os.path.join(folder, "v4.txt")
        self.v6 = os.path.join(folder, "v6.txt")
        self.attributes = os.path.join(folder, "attrs.txt")
        self.count4, self.count6, self.source = count4, count6, source


def _real_folder() -> str | None:
    candidates = [os.environ.get("LOCKSTEP_TABLE"),
                  os.path.join(_REPOSITORY, "..", "shared", "data")]
    for folder in candidates:
        if folder and all(os.path.exists(os.path.join(folder, name))
                          for name in ("v4.txt.gz", "v6.txt.gz", "attrs.txt.gz")):
            return os.path.abspath(folder)
    return None


def prepare(folder: str, count4: int = FULL4, count6: int = FULL6) -> Table:
    """Writes the table into `folder`, thinned evenly to the counts asked for."""
    os.makedirs(folder, exist_ok=True)
    real = _real_folder()
    if real:
        made4 = _copy_thinned(os.path.join(real, "v4.txt.gz"), os.path.join(folder, "v4.txt"), count4)
        made6 = _copy_thinned(os.path.join(real, "v6.txt.gz"), os.path.join(folder, "v6.txt"), count6)
        with gzip.open(os.path.join(real, "attrs.txt.gz"), "rb") as source, \
                open(os.path.join(folder, "attrs.txt"), "wb") as target:
            target.write(source.read())
        return Table(folder, made4, made6, f"real Internet table from {real}")
    say("no real table at hand (LOCKSTEP_TABLE, ../shared/data): making one of like shape")
    made4, made6 = _generate(folder, count4, count6)
    return Table(folder, made4, made6, "generated table")


def _copy_thinned(source: str, target: str, count: int) -> int:
    with gzip.open(source, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    if count < len(lines):
        # Runs of eight neighbours keep the sharing of attribute sets that the whole table has.
        run_length = 8
        runs = max(1, count // run_length)
        step = len(lines) / runs
        lines = [line for n in range(runs) for line in lines[int(n * step):int(n * step) + run_length]]
    with open(target, "wb") as file:
        file.writelines(lines)
    if not lines:
        raise LabError(f"{source} is empty")
    return len(lines)


class _Numbers:
    """A small generator of its own: the table must be the same on every machine and Python release."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def below(self, bound: int) -> int:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
        return (self.state >> 33) % bound


# Share of each prefix length in per cent, as in the table of 2015.
_LENGTHS4 = [(24, 56), (23, 10), (22, 11), (21, 7), (20, 6), (19, 4), (18, 2), (17, 1), (16, 3)]
_LENGTHS6 = [(48, 47), (32, 36), (44, 5), (40, 5), (36, 4), (47, 3)]


def _lengths(table: list[tuple[int, int]]) -> list[int]:
    return [length for length, share in table for _ in range(share)]


def _attribute_line(numbers: _Numbers, transit: list[int]) -> str:
    origin_as = 1000 + numbers.below(60000)
    hops = [transit[numbers.below(30)]]
    for _ in range((0, 1, 1, 2, 2, 2, 3, 3, 4, 5)[numbers.below(10)]):
        hops.append(transit[numbers.below(len(transit))])
    hops += [origin_as] * (1 + (numbers.below(6) == 0) * numbers.below(4))
    communities = [f"{hops[0]}:{numbers.below(4000)}" for _ in range((0, 0, 1, 2, 2, 3, 4, 8)[numbers.below(8)])]
    med = str(numbers.below(3000)) if numbers.below(4) == 0 else ""
    return f"{' '.join(map(str, hops))};{0 if numbers.below(10) else 2};{med};{' '.join(communities)}\n"


def _generate(folder: str, count4: int, count6: int) -> tuple[int, int]:
    numbers = _Numbers(2002_47329)
    transit = [200 + numbers.below(18000) for _ in range(700)]
    set_count = 0

    def write(name: str, wanted: int, lengths: list[int], bits: int, begin: int, format_address: Callable[[int], str],
              attributes: TextIO) -> int:
        nonlocal set_count
        address, made = begin, 0
        with open(os.path.join(folder, name), "w") as file:
            while made < wanted:
                if made == 0 or numbers.below(7) == 0:
                    attributes.write(_attribute_line(numbers, transit))
                    set_count += 1
                length = lengths[numbers.below(len(lengths))]
                size = 1 << bits - length
                address = (address + size - 1) // size * size
                file.write(f"{format_address(address)}/{length} {set_count - 1}\n")
                address += size
                made += 1
        return made

    def format4(value: int) -> str:
        # 10/8, 127/8 and the lab's own 198.18/15 are stepped over by leaving those octets out.
        first = (value >> 24) + 1
        for taken in (10, 127, 198):
            first += first >= taken
        return f"{first}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"

    def format6(value: int) -> str:
        return f"{value >> 112:x}:{value >> 96 & 0xffff:x}:{value >> 80 & 0xffff:x}::"

    with open(os.path.join(folder, "attrs.txt"), "w") as attributes:
        # 216 usable first octets hold about 600,000 prefixes of these lengths only if they are mostly short
        # in size; a /16 now and then costs 256 times a /24, so the big ones are kept rare.
        lengths4 = _lengths(_LENGTHS4)
        made4 = write("v4.txt", count4, lengths4, 32, 0, format4, attributes)
        made6 = write("v6.txt", count6, _lengths(_LENGTHS6), 128, 0x2400 << 112, format6, attributes)
    return made4, made6
