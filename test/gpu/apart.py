"""Two runs of our candidates, an hour or a machine apart: how far do the speedups of one lie from those of the other?

Usage: python3 test/gpu/apart.py FIRST.json SECOND.json [--out FILE.json]      (both from kernelbench.py --candidates; needs no GPU)

For every candidate that both runs timed without a flag, the ratio of its two speedups; the median of how far they are from 1, for
each baseline. Exits with 1 where that is 3 % or more, or where fewer than 10 candidates are in both.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

LIMIT, LEAST = 0.03, 10


def speedups(path: Path, baseline: str) -> dict[str, dict[str, float]]:
    """Speedups over a baseline with their intervals, by problem."""
    rows = json.loads(path.read_text(encoding="utf8"))["cases"]["candidates"]
    return {name: row[baseline] for name, row in rows.items() if row.get("passed") and not row["codes"] and baseline in row}


def compared(first: Path, second: Path, baseline: str) -> dict[str, Any]:
    """The median distance of two lists of speedups, the worst, and how many intervals have something in common."""
    one, two = speedups(first, baseline), speedups(second, baseline)
    both = sorted(one.keys() & two.keys())
    apart = {name: abs(math.log(one[name]["ratio"] / two[name]["ratio"])) for name in both}
    ordered = sorted(apart.values())
    return {
        "candidates": len(both),
        "median": round(math.expm1(ordered[len(ordered) // 2]), 5) if ordered else None,
        "worst": {name: round(math.expm1(value), 5) for name, value in sorted(apart.items(), key=lambda item: -item[1])[:3]},
        "intervals_that_meet": sum(one[n]["low"] <= two[n]["high"] and two[n]["low"] <= one[n]["high"] for n in both),
    }


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {name: compared(options.first, options.second, name) for name in ("eager", "compile")}
    runs = {path.name: json.loads(path.read_text(encoding="utf8"))["runs"] for path in (options.first, options.second)}
    text = json.dumps(
        {"command": f"python3 test/gpu/apart.py {options.first.name} {options.second.name}", **found, "runs": runs}, indent=1
    )
    if options.out:
        options.out.write_text(text + "\n", encoding="utf8")
    print(json.dumps(found, indent=1))
    eager = found["eager"]
    return 0 if eager["candidates"] >= LEAST and eager["median"] < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
