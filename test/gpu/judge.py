"""The torch judge on a GPU: honest Triton kernels and dishonest ones against PyTorch eager.

Usage: python3 test/gpu/judge.py --device cuda --out results.json   (needs torch, triton and an NVIDIA GPU)
       python3 test/gpu/judge.py --device cpu                        (the same path without Triton)
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "torch" / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from cases import ANYWHERE, CASES, texts
from driver import Driver, codes, of, passed


def versions() -> dict[str, str]:
    """What the figures depend on."""
    import torch

    found = {"python": platform.python_version(), "torch": torch.__version__, "system": platform.platform()}
    try:
        import triton

        found["triton"] = triton.__version__
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        found["device"] = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (ImportError, OSError, subprocess.CalledProcessError):
        found["device"] = platform.processor()
    return found


def judged(events: list[dict[str, Any]]) -> dict[str, Any]:
    """One case's outcome: whose kernels, times, the ratio over eager and its interval, and what the clocks say."""
    row: dict[str, Any] = {"passed": passed(events), "codes": codes(events)}
    for event in of(events, "dispatched")[:1]:
        row["work"] = event["work"]
    for event in of(events, "benchmarked")[:1]:
        for baseline in event["baselines"]:
            row[baseline["name"]] = {key: round(baseline[key], 4) for key in ("ratio", "low", "high")}
            row[baseline["name"]]["us"] = round(baseline["timing"]["median_ns"] / 1000, 2)
        row["candidate_us"] = round(event["candidate"]["median_ns"] / 1000, 2)
        row |= {key: event[key] for key in ("clock", "rounds", "generations", "checked", "compared", "rejected", "throttling")}
        row["clocks"] = {k: round(v) if isinstance(v, float) else v for k, v in event["clocks"].items()}
    row["phases"] = {k: v for e in of(events, "seconds") for k, v in e.items() if k != "event"}
    return row


def main() -> int:
    """Runs the cases; the exit code says whether all came out as they should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=3, help="budget of one measurement")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--limit", type=float, default=0, help="begin no case after so many seconds")
    parser.add_argument("--out")
    options = parser.parse_args()
    driver = Driver()
    rows, unexpected, begun = [], 0, time.monotonic()
    skipped = []
    for case in CASES:
        name, _, shape, _, expected = case
        if options.only not in name or (options.device == "cpu" and name not in ANYWHERE):
            continue
        if options.limit and time.monotonic() - begun > options.limit:
            skipped.append(name)
            continue
        if options.device == "cpu":
            shape = {key: size // 16 for key, size in shape.items()}
        problem, candidate = texts((*case[:2], shape, *case[3:]))
        job = {
            "mode": "evaluate",
            "device": options.device,
            "problem": {"format": "kernelbench", "source": problem, "name": name},
            "candidate": {"source": candidate},
            "baselines": ["eager"],
            # Triton compiles its launcher and its machine code by programs of their own.
            "allow_processes": "triton" in name,
            "preload": ["triton"] if options.device != "cpu" else [],
            "budget_seconds": options.seconds,
        }
        started = time.monotonic()
        events = driver.ask(job, 120)
        row = {"case": name, **shape, "expected": expected, **judged(events), "seconds": round(time.monotonic() - started, 2)}
        clean = row["passed"] and not row["codes"]
        fine = (not clean) if expected == "caught" else clean
        if expected == "no gain" and "eager" in row:
            fine = fine and row["eager"]["low"] <= 1 <= row["eager"]["high"]
        row["as_expected"] = bool(fine)
        unexpected += not fine
        rows.append(row)
        print(json.dumps(row), flush=True)
        if not fine:
            print(json.dumps(events)[:3000], flush=True)
    driver.close()
    command = f"python3 test/gpu/judge.py --device {options.device} --seconds {options.seconds:g}"
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    result = {"command": command, "date": date, "versions": versions(), "cases": rows, "not_run": skipped}
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
