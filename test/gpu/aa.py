"""A/A on a GPU: PyTorch's own module as candidate against itself. How often does the interval of the ratio contain 1?

Usage: python3 test/gpu/aa.py --pairs 100 --out results.json       (needs torch and an NVIDIA GPU)

Each pair is a job of its own: fresh processes of the candidate, fresh contents. The kernels take about 5 µs, 50 µs and 1 ms.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "torch" / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from driver import Driver, codes, of
from judge import versions

HEAD = "import torch\nclass Model(torch.nn.Module):\n    def forward(self, x):\n        return "
TAIL = "\ndef get_inputs():\n    return [torch.randn({shape})]\ndef get_init_inputs():\n    return []\n"
PROBLEMS = {
    "5us": HEAD + "torch.relu(x)" + TAIL.format(shape="512, 1024"),
    "50us": HEAD + "torch.relu(x)" + TAIL.format(shape="4096, 4096"),
    "1ms": HEAD + "x @ x" + TAIL.format(shape="2944, 2944"),
}


def middle(values: list[float]) -> float:
    """The median."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else float("nan")


def summary(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Coverage and widths of one kernel's intervals."""
    half = [(r["high"] / r["low"]) ** 0.5 - 1 for r in rows]
    return {
        "kernel": name,
        "pairs": len(rows),
        "covered": sum(r["low"] <= 1 <= r["high"] for r in rows),
        "clean": sum(not r["codes"] for r in rows),
        "median_us": round(middle([r["us"] for r in rows]), 3),
        "half_width_median": round(middle(half), 5),
        "half_width_worst": round(max(half, default=float("nan")), 5),
        "error_median": round(middle([abs(r["ratio"] - 1) for r in rows]), 5),
        "error_worst": round(max((abs(r["ratio"] - 1) for r in rows), default=float("nan")), 5),
        "seconds_median": round(middle([r["seconds"] for r in rows]), 3),
    }


def main() -> int:
    """Measures the pairs; the exit code says whether at least 93 of 100 intervals contain 1, for each kernel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=2, help="budget of one measurement")
    parser.add_argument("--limit", type=float, default=0, help="seconds for each kernel; fewer pairs are measured where it ends")
    parser.add_argument("--out")
    options = parser.parse_args()
    driver, results, fine = Driver(), [], True
    for name, problem in PROBLEMS.items():
        rows: list[dict[str, Any]] = []
        begun = time.monotonic()
        for k in range(options.pairs):
            if options.limit and time.monotonic() - begun > options.limit:
                break
            job = {
                "mode": "benchmark", "device": options.device,
                "problem": {"format": "kernelbench", "source": problem, "name": name},
                "candidate": {"source": problem + "ModelNew = Model\n"}, "budget_seconds": options.seconds,
            }  # fmt: skip
            started = time.monotonic()
            events = driver.ask(job, 120)
            timed = of(events, "benchmarked")
            if not timed:
                print(json.dumps(events)[:2000], flush=True)
                fine = False
                break
            eager = timed[0]["baselines"][0]
            rows.append({
                "low": eager["low"], "high": eager["high"], "ratio": eager["ratio"], "us": eager["timing"]["median_ns"] / 1000,
                "rounds": timed[0]["rounds"], "codes": codes(events), "seconds": time.monotonic() - started,
            })  # fmt: skip
            if k == 1:
                print(json.dumps(timed[0]), json.dumps(of(events, "seconds")), flush=True)
        results.append({**summary(name, rows), "intervals": [[round(r["low"], 5), round(r["high"], 5)] for r in rows],
                        "codes": [r["codes"] for r in rows if r["codes"]]})  # fmt: skip
        print(json.dumps({k: v for k, v in results[-1].items() if k != "intervals"}), flush=True)
        fine = fine and bool(rows) and results[-1]["covered"] >= 0.93 * len(rows)
    driver.close()
    limit = f" --limit {options.limit:g}" if options.limit else ""
    command = f"python3 test/gpu/aa.py --device {options.device} --pairs {options.pairs} --seconds {options.seconds:g}{limit}"
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    result = {"command": command, "date": date, "versions": versions(), "kernels": results}
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
