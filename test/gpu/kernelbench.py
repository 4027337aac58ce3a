"""KernelBench through the judge: every problem with `Model` itself as candidate, and our own Triton candidates.

With --model-itself each problem is loaded, graded (which null answers would pass?) and its own `Model` verified as a candidate.
Else the candidates of --candidates are verified and timed against eager and torch.compile. Small problems come first; results
are written after each, so that a run that is cut keeps what it had, and --resume goes on with the rest.

Usage: python3 test/gpu/kernelbench.py --path KERNELBENCH --out FILE.json --model-itself [--levels 1,2,3] [--jobs 8]
       python3 test/gpu/kernelbench.py --path KERNELBENCH --out FILE.json --candidates test/gpu/candidates/kernelbench
Options for both: --only REGEX --seconds BUDGET --resume --device cpu (problems are made small there) --trials N --oracle eager.
KERNELBENCH is a checkout of the benchmark.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from runs import HERE, Record, Runner, geometric_mean, of, outcome, reasons, spread

sys.path.insert(0, str(HERE / "candidates"))
from ahead import module_of
from check import SMALL, reduced


def size_of(path: Path) -> int | None:
    """Bytes of a problem's inputs, from the meta device; None where it does not run there."""
    import torch

    try:
        with torch.device("meta"):
            inputs = module_of(path, "problem").get_inputs()
        return sum(t.numel() * t.element_size() for t in inputs if isinstance(t, torch.Tensor))
    except Exception:
        # A problem that needs values, or a package that is not here: the judge will tell.
        return None


# Of the device's memory what a verification takes, in sizes of its inputs: draws, live tensors and answers of three processes and
# of the judge, some in float64. And what is taken besides, GiB: answers and weights may be far larger than inputs.
TIMES_INPUTS, FIXED = 16, 16.0


def problems(options: argparse.Namespace) -> tuple[list[tuple[str, Path]], dict[str, float]]:
    """Names and files of what is asked for, small inputs first; and what they weigh, GiB."""
    levels = [int(v) for v in options.levels.split(",")]
    found = []
    for level in levels:
        for path in (options.path / "KernelBench" / f"level{level}").glob("*.py"):
            name = f"level{level}/{path.stem}"
            if not re.search(options.only, name):
                continue
            if options.candidates is not None and not (options.candidates / f"level{level}" / path.name).exists():
                continue
            found.append((name, path))
    if not found:
        raise SystemExit(f"nothing in {options.path} fits: is it a checkout of KernelBench?")
    sizes = {name: size_of(path) for name, path in found}
    largest = options.largest * 2**30
    kept = [(n, p) for n, p in found if (sizes[n] or 0) <= largest]
    kept.sort(key=lambda item: (sizes[item[0]] or 0, item[0]))
    return kept, {name: FIXED + TIMES_INPUTS * (size or 0) / 2**30 for name, size in sizes.items()}


def problem_of(path: Path, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The problem as it is; on the processor with small sizes."""
    if options.device != "cpu" or options.full_size:
        return {"format": "kernelbench", "path": str(path), "name": path.stem}
    key = "/".join((name.split("/")[0], path.stem.split("_")[0]))
    return {"format": "kernelbench", "source": reduced(path.read_text(encoding="utf8"), SMALL.get(key, {})), "name": path.stem}


def itself(runner: Runner, path: Path, name: str, options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """Grades a problem and verifies its `Model` as a candidate."""
    problem = problem_of(path, name, options)
    common = {"device": options.device, "problem": problem, "call_seconds": 120, "load_seconds": 180}
    begun = time.monotonic()
    events = runner.ask({"mode": "grade", **common, "oracle": options.oracle}, seconds)
    row: dict[str, Any] = {"graded": bool(of(events, "graded")), "grade_seconds": round(time.monotonic() - begun, 2)}
    for event in of(events, "graded"):
        row |= {
            "degenerate": event["degenerate"],
            "constant": event["constant"],
            "nulls": [k for k, v in event["nulls"].items() if v],
        }
    if not row["graded"]:
        row["grade_why"] = reasons(events)
    begun = time.monotonic()
    candidate = {"source": problem.get("source") or path.read_text(encoding="utf8"), "entry": "Model", "name": "Model"}
    job = {
        "mode": "verify",
        **common,
        "candidate": candidate,
        "trials": options.trials,
        "oracle": options.oracle,
        "allow_processes": True,
    }
    found = outcome(runner.ask(job, seconds))
    return row | found | {"verify_seconds": round(time.monotonic() - begun, 2)}


def candidate_of(
    runner: Runner, path: Path, name: str, options: argparse.Namespace, seconds: float, folder: Path
) -> dict[str, Any]:
    """Verifies and times one of our candidates."""
    begun = time.monotonic()
    cache = folder / name.replace("/", "-")
    cache.mkdir(exist_ok=True)
    job = {
        "mode": "verify" if options.device == "cpu" else "evaluate",
        "device": options.device, "problem": problem_of(path, name, options),
        "candidate": {"path": str(options.candidates / f"{name}.py"), "name": path.stem},
        "trials": options.trials, "oracle": options.oracle, "baselines": options.baselines.split(","),
        "budget_seconds": options.timing, "generations": {"min": 3, "max": 6}, "require_own_kernel": True,
        # Triton compiles its launcher and its machine code by programs of their own.
        "allow_processes": True, "candidate_cache": str(cache), "cache_folder": str(folder / "baselines"),
        "call_seconds": 120, "load_seconds": 180, "preload": ["triton"],
    }  # fmt: skip
    return outcome(runner.ask(job, seconds)) | {"seconds": round(time.monotonic() - begun, 2)}


def summary_of(record: Record) -> dict[str, Any]:
    """Counts, names of what fails, and geometric means of what passes."""
    models, candidates = record.rows("model_itself"), record.rows("candidates")
    found: dict[str, Any] = {}
    if models:
        found["model_itself"] = {
            "problems": len(models),
            "graded": sum(r["graded"] for r in models.values()),
            "passed": sum(r["passed"] for r in models.values()),
            "seconds": round(sum(r["grade_seconds"] + r["verify_seconds"] for r in models.values()), 1),
            "degenerate": {n: r["nulls"] or ["constant"] for n, r in sorted(models.items()) if r.get("degenerate")},
            "failed": {
                n: r.get("why") or r.get("grade_why", []) for n, r in sorted(models.items()) if not (r["passed"] and r["graded"])
            },
        }
    if candidates:
        right = {n: r for n, r in candidates.items() if r["passed"]}
        # Credit needs a right answer, nothing against it, and a measurement.
        fine = [r for r in right.values() if not r["codes"]]
        found["candidates"] = {
            "candidates": len(candidates),
            "verified": {level: sum(n.startswith(level) for n in right) for level in ("level1", "level2", "level3")},
            "failed": {n: r.get("why", []) for n, r in sorted(candidates.items()) if not r["passed"]},
            "flagged": {n: r["codes"] for n, r in sorted(right.items()) if r["codes"]},
        }
        for name in ("eager", "compile"):
            ratios = [r[name]["ratio"] for r in fine if name in r]
            found["candidates"][name] = {
                "measured": len(ratios),
                "geometric_mean": geometric_mean(ratios),
                "faster": sum(r[name]["low"] > 1 for r in fine if name in r),
                "slower": sum(r[name]["high"] < 1 for r in fine if name in r),
            }
    return found


def main() -> int:
    """Exits with 1 when something fails or nothing is run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--candidates", type=Path)
    parser.add_argument("--model-itself", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--levels", default="1,2,3")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=1, help="judges beside each other: right answers are the same, times are not")
    parser.add_argument("--memory", type=float, default=120, help="GiB of the device that the judges may take together")
    parser.add_argument("--cache", type=Path, help="keep what is compiled here, for another run")
    parser.add_argument("--seconds", type=float, default=1e9, help="no case is begun after this time")
    parser.add_argument("--case-seconds", type=float, default=600, help="the longest time of one job")
    parser.add_argument("--largest", type=float, default=1e6, help="leave out problems with more GiB of inputs")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--full-size", action="store_true", help="the problems' own sizes on the processor too")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--oracle", default="float64", choices=("float64", "eager"))
    parser.add_argument("--baselines", default="eager,compile")
    parser.add_argument("--timing", type=float, default=4, help="seconds of timing for a candidate")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if options.model_itself == (options.candidates is not None):
        parser.error("name --model-itself or --candidates DIR")
    part = "model_itself" if options.model_itself else "candidates"
    if options.jobs > 1 and not options.model_itself and options.timing > 0.2:
        parser.error("times are taken one after the other: --jobs 1, or --timing 0.1 to fill --cache")
    record = Record(options.out, options.resume)
    chosen, weights = problems(options)
    chosen = [item for item in chosen if not record.has(part, item[0])]

    def work(runner: Runner, name: str, path: Path) -> None:
        if options.model_itself:
            row = itself(runner, path, name, options, options.case_seconds)
        else:
            row = candidate_of(runner, path, name, options, options.case_seconds, cache)
        record.add(part, name, row, summary_of)
        short = {k: v for k, v in row.items() if k not in ("torch_operators", "own_kernels", "time")}
        print(json.dumps({"problem": name, **short}), flush=True)

    with tempfile.TemporaryDirectory(prefix="kernelbench-") as folder:
        cache = Path(folder) if options.cache is None else options.cache
        cache.mkdir(exist_ok=True, parents=True)
        left_out = spread(chosen, options.jobs, options.seconds, weights.__getitem__, options.memory, work)
    print(json.dumps(record.data.get("summary", {}), indent=1))
    if left_out:
        print(f"{left_out} were not begun: the time was spent; --resume goes on", file=sys.stderr)
    return 0 if record.rows(part) and all(r["passed"] for r in record.rows(part).values()) else 1


if __name__ == "__main__":
    sys.exit(main())
