"""ATen operators through the judge, with inputs from PyTorch's own database of operators.

With --reference every overload that has samples is verified with the operator itself as candidate; else our own Triton kernels
of --candidates are. Results are written after each, so that a run that is cut keeps what it had, and --resume goes on.

Usage: python3 test/gpu/aten.py --reference --out FILE.json [--device cpu] [--dtype float32] [--samples 4]
       python3 test/gpu/aten.py --candidates test/gpu/candidates/aten --out FILE.json [--device cpu]
Options for both: --only REGEX --jobs 8 --seconds BUDGET --resume --trials N.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from runs import TOOL, Record, Runner, outcome, spread

ITSELF = """import torch


def {folder}_kernel_impl(*args, **kwargs):
    return torch.ops.aten.{packet}.{name}(*args, **kwargs)
"""


def reference_overloads(dtype: str) -> tuple[list[str], dict[str, str]]:
    """Every overload with a sample of the type, and why the others have none."""
    import torch

    torch.set_num_threads(1)
    sys.path.insert(0, str(TOOL))
    from ke_torch.hosting import opinfo

    return opinfo.overloads(getattr(torch, dtype))


def job_of(overload: str, options: argparse.Namespace) -> dict[str, Any]:
    """The job of one overload."""
    folder = overload.replace(".", "__")
    packet, _, name = overload.partition(".")
    if options.reference:
        candidate = {"source": ITSELF.format(folder=folder, packet=packet, name=name or "default"), "name": "itself"}
    else:
        candidate = {"path": str(options.candidates / f"{folder}.py"), "name": "triton"}
    return {
        "mode": "verify", "device": options.device, "trials": options.trials,
        "problem": {"format": "aten", "overload": overload, "dtype": options.dtype, "samples": options.samples},
        "candidate": candidate, "require_own_kernel": not options.reference,
        # On a device Triton compiles by programs of its own; on the processor its interpreter runs.
        "allow_processes": options.device != "cpu",
        "preload": [] if options.reference else ["triton"],
    }  # fmt: skip


def summary_of(record: Record, skipped: dict[str, str]) -> dict[str, Any]:
    """Counts, and what fails by name."""
    found: dict[str, Any] = {}
    for part in ("reference", "candidates"):
        rows = record.rows(part)
        if rows:
            found[part] = {
                "overloads": len(rows),
                "passed": sum(r["passed"] for r in rows.values()),
                "workloads": sum(r.get("workloads", 0) for r in rows.values()),
                "seconds": round(sum(r["seconds"] for r in rows.values()), 1),
                "failed": {n: r.get("why", []) for n, r in sorted(rows.items()) if not r["passed"]},
            }
    if skipped:
        reasons = sorted(set(skipped.values()))
        found["without_samples"] = {reason: sum(v == reason for v in skipped.values()) for reason in reasons}
    return found


def main() -> int:
    """Exits with 1 when a candidate fails or nothing is run; the references' failures are counted and told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--candidates", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=1, help="judges beside each other")
    parser.add_argument("--seconds", type=float, default=1e9, help="no case is begun after this time")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if options.reference == (options.candidates is not None):
        parser.error("name --reference or --candidates DIR")
    record, skipped = Record(options.out, options.resume), {}
    part = "reference" if options.reference else "candidates"
    if options.reference:
        names, skipped = reference_overloads(options.dtype)
    else:
        names = sorted(path.stem.replace("__", ".") for path in options.candidates.glob("*.py"))
    chosen = [(n, None) for n in names if re.search(options.only, n) and not record.has(part, n)]

    def work(runner: Runner, overload: str, _: None) -> None:
        begun = time.monotonic()
        row = outcome(runner.ask(job_of(overload, options), 300))
        row["seconds"] = round(time.monotonic() - begun, 2)
        record.add(part, overload, row, lambda r: summary_of(r, skipped))
        print(json.dumps({"overload": overload, "passed": row["passed"], "why": row.get("why", [])}), flush=True)

    left_out = spread(chosen, options.jobs, options.seconds, lambda _: 1.0, options.jobs, work)
    print(json.dumps(record.data.get("summary", {}), indent=1))
    if left_out:
        print(f"{left_out} were not begun: the time was spent; --resume goes on", file=sys.stderr)
    rows = record.rows(part)
    return 0 if rows and (options.reference or all(r["passed"] for r in rows.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
