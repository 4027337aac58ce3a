"""Evaluations a minute on a GPU: this judge beside KernelBench's own `eval_kernel_against_ref`, a process each as its scripts do.

Usage: python3 test/gpu/throughput.py --kernelbench CHECKOUT --out results.json       (needs torch, triton and an NVIDIA GPU)

The same Triton candidates, several of each problem in a row as in a search; KernelBench with its default of 5 trials and 100 timed
calls, the judge with 5 trials and at least as many timed calls. The first candidate of a problem, which starts the reference and
the baselines, is counted too, and told apart. Packages that KernelBench imports for other purposes and that are not installed are
replaced by empty modules (told).
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "torch" / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from cases import CASES, texts
from driver import Driver, codes, of, passed
from judge import versions

TRIALS, TIMED = 5, 100
UNRELATED = ("dotenv", "openai", "litellm", "tqdm", "requests", "modal", "pydra", "datasets", "together", "google")
CHILD = """
import importlib.util, json, sys, types
missing = []
for name in {unrelated!r}:
    if importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        for attribute in ("load_dotenv", "OpenAI", "completion", "tqdm"):
            setattr(module, attribute, lambda *a, **k: None)
        sys.modules[name] = module
        missing.append(name)
sys.path.insert(0, {source!r})
from kernelbench.eval import eval_kernel_against_ref
problem, candidate = open(sys.argv[1]).read(), open(sys.argv[2]).read()
import torch
found = eval_kernel_against_ref(
    problem, candidate, num_correct_trials={trials}, num_perf_trials={timed}, measure_performance=True, backend="triton",
    device=torch.device("cuda:0"),
)
print("RESULT " + json.dumps({{"correct": bool(found.correctness), "ms": float(found.runtime), "replaced": missing}}))
"""


def theirs(checkout: str, problem: str, candidate: str, folder: Path) -> dict[str, Any]:
    """One evaluation by KernelBench in a process of its own."""
    (folder / "problem.py").write_text(problem, encoding="utf8")
    (folder / "candidate.py").write_text(candidate, encoding="utf8")
    child = folder / "child.py"
    source = str(Path(checkout) / "src")
    child.write_text(CHILD.format(unrelated=UNRELATED, source=source, trials=TRIALS, timed=TIMED), encoding="utf8")
    started = time.monotonic()
    argv = [sys.executable, str(child), str(folder / "problem.py"), str(folder / "candidate.py")]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    seconds = time.monotonic() - started
    lines = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        return {"seconds": seconds, "failed": (ran.stdout + ran.stderr)[-1500:]}
    return {"seconds": seconds, **json.loads(lines[-1].removeprefix("RESULT "))}


def ours(driver: Driver, problem: str, candidate: str) -> dict[str, Any]:
    """One evaluation by this judge."""
    job = {
        "mode": "evaluate", "device": "cuda", "problem": {"format": "kernelbench", "source": problem},
        "candidate": {"source": candidate}, "trials": TRIALS, "allow_processes": True, "preload": ["triton"],
        # Ends when the least number of rounds is done: many more timed calls than theirs already.
        "budget_seconds": 0.4,
    }  # fmt: skip
    started = time.monotonic()
    events = driver.ask(job, 300)
    timed = of(events, "benchmarked")
    return {
        "seconds": time.monotonic() - started, "correct": passed(events), "codes": codes(events),
        "timed_calls": timed[0]["candidate"]["samples"] if timed else 0,
        "ms": timed[0]["candidate"]["median_ns"] / 1e6 if timed else None,
        "phases": {k: v for e in of(events, "seconds") for k, v in e.items() if k != "event"},
    }  # fmt: skip


def middle(values: list[float]) -> float | None:
    """The median, of few values the upper one."""
    return round(sorted(values)[len(values) // 2], 2) if values else None


def main() -> int:
    """Both, one candidate after the other; candidates differ in their text, so that nothing is cached by it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernelbench", required=True, help="path of a checkout of KernelBench")
    parser.add_argument("--repeats", type=int, default=4, help="candidates of each problem")
    parser.add_argument("--out")
    options = parser.parse_args()
    honest = [case for case in CASES if "triton" in case[0] and case[4] == "passes"]
    driver, rows = Driver(), []
    for case in honest:
        for repeat in range(options.repeats):
            problem, candidate = texts(case)
            # Another constant in each: a search's candidates are never the same text, and their kernels are compiled anew.
            candidate = candidate.replace("BLOCK: tl.constexpr", f"BLOCK: tl.constexpr, MARK{repeat}: tl.constexpr = {repeat + 1}")
            mine = ours(driver, problem, candidate)
            with tempfile.TemporaryDirectory() as folder:
                other = theirs(options.kernelbench, problem, candidate, Path(folder))
            rows.append({"case": case[0], "candidate": repeat, "judge": mine, "kernelbench": other})
            print(json.dumps(rows[-1]), flush=True)
    driver.close()
    # The first evaluation starts the warm processes: it is told, and not counted.
    counted = rows[1:]
    good = [r for r in counted if r["judge"]["correct"] and r["kernelbench"].get("correct")]
    mine_s, other_s = sum(r["judge"]["seconds"] for r in good), sum(r["kernelbench"]["seconds"] for r in good)
    figures = {
        "evaluations": len(good),
        "judge_a_minute": round(60 * len(good) / mine_s, 2) if good else None,
        "kernelbench_a_minute": round(60 * len(good) / other_s, 2) if good else None,
        "times": round(other_s / mine_s, 2) if good else None,
        "seconds_of_a_problems_first": middle([r["judge"]["seconds"] for r in good if r["candidate"] == 0]),
        "seconds_of_further_ones": middle([r["judge"]["seconds"] for r in good if r["candidate"] > 0]),
        "timed_calls_median": middle([r["judge"]["timed_calls"] for r in good]),
        "first_seconds": round(rows[0]["judge"]["seconds"], 2),
    }
    print(json.dumps(figures), flush=True)
    command = f"python3 test/gpu/throughput.py --kernelbench CHECKOUT --repeats {options.repeats}"
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    result = {"command": command, "date": date, "versions": versions(), "trials": TRIALS, "figures": figures, "rows": rows}
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    return 0 if good and other_s / mine_s >= 4 else 1


if __name__ == "__main__":
    sys.exit(main())
