"""CUDA sources as candidates on a GPU: built by nvcc in the judge's own way, verified, timed beside PyTorch, and one that cheats.

Usage: python3 test/gpu/cuda.py --out results.json       (needs torch with CUDA, nvcc and an NVIDIA GPU)

The sources are in test/gpu/candidates/cuda. Each is judged twice: built, and then found.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools" / "torch" / "tests"))
sys.path.insert(0, str(HERE))
from driver import Driver, of  # noqa: E402
from judge import judged, versions  # noqa: E402

HEAD = "import torch\nclass Model(torch.nn.Module):\n"
RELU = HEAD + "    def forward(self, x):\n        return torch.relu(x)\ndef get_inputs():\n    return [torch.randn({shape})]\n"
SOFTMAX = (
    HEAD + "    def forward(self, x):\n        return torch.softmax(x, -1)\ndef get_inputs():\n    return [torch.randn({shape})]\n"
)
LINEAR = (
    HEAD + "    def __init__(self, n, m):\n        super().__init__()\n        self.layer = torch.nn.Linear(n, m)\n"
    "    def forward(self, x):\n        return self.layer(x)\ndef get_inputs():\n    return [torch.randn({shape})]\n"
)
NOTHING = "def get_init_inputs():\n    return []\n"
# Name of the source, problem, and what should become of it.
CASES: list[tuple[str, str, str]] = [
    ("relu", RELU.format(shape="4096, 4096") + NOTHING, "passes"),
    ("softmax", SOFTMAX.format(shape="4096, 3001") + NOTHING, "passes"),
    ("matmul", LINEAR.format(shape="515, 1030") + "def get_init_inputs():\n    return [1030, 777]\n", "passes"),
    ("relu_own_stream", RELU.format(shape="4096, 4096") + NOTHING, "caught"),
]


def judge_case(driver: Driver, name: str, problem: str, cache: str, options: argparse.Namespace, mode: str) -> dict[str, Any]:
    """One job's outcome, with what is known of its build."""
    job = {
        "mode": mode, "device": options.device, "problem": {"format": "kernelbench", "source": problem, "name": name},
        "candidate": {"path": str(HERE / "candidates" / "cuda" / f"{name}.cu"), "flags": ["-O3"]}, "module_cache": cache,
        "budget_seconds": options.seconds, "baselines": ["eager"],
    }  # fmt: skip
    started = time.monotonic()
    events = driver.ask(job, 400)
    row: dict[str, Any] = {"case": name, "mode": mode, **judged(events), "seconds": round(time.monotonic() - started, 2)}
    for built in of(events, "built"):
        row["built"] = {
            "cached": built["cached"],
            "seconds": round(built["seconds"], 2),
            "tool": built["tool"],
            "arch": built["arch"],
        }
    row["told"] = [e for e in events if e["event"] in ("missing", "compile_error", "error", "host_failure", "wrong")][:3]
    return row


def main() -> int:
    """Runs the cases; the exit code says whether all came out as they should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=3, help="budget of one measurement")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--out")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    driver = Driver()
    with tempfile.TemporaryDirectory(prefix="ke-modules-") as cache:
        for name, problem, expected in CASES:
            if options.only not in name:
                continue
            for mode, cached in (("evaluate", False), ("verify", True)):
                row = {"expected": expected, **judge_case(driver, name, problem, cache, options, mode)}
                clean = row["passed"] and not row["codes"] and row.get("work") == "own"
                # Verification alone need not see work that is late; timing has to.
                fine = clean if expected == "passes" else mode == "verify" or bool(row["codes"])
                row["as_expected"] = bool(fine and row.get("built", {}).get("cached") is cached)
                rows.append(row)
                print(json.dumps(row), flush=True)
    driver.close()
    command = f"python3 test/gpu/cuda.py --device {options.device} --seconds {options.seconds:g}"
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    result = {"command": command, "date": date, "versions": versions(), "cases": rows}
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    return 0 if rows and all(row["as_expected"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
