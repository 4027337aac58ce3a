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
from driver import Driver, codes, of, passed  # noqa: E402

SOFTMAX = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=1)
def get_inputs():
    return [torch.rand({rows}, {columns})]
def get_init_inputs():
    return []
"""

RMS_NORM = """
import torch
class Model(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(features))
    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight
def get_inputs():
    return [torch.rand({rows}, {columns})]
def get_init_inputs():
    return [{columns}]
"""

TRITON_SOFTMAX = """
import torch, triton, triton.language as tl
@triton.jit
def softmax_kernel(x, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    v = tl.load(x + row * n + at, mask=at < n, other=-float("inf"))
    e = tl.exp(v - tl.max(v, axis=0))
    tl.store(y + row * n + at, e / tl.sum(e, axis=0), mask=at < n)
class ModelNew(torch.nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        n = x.shape[1]
        softmax_kernel[(x.shape[0],)](x, y, n, BLOCK=triton.next_power_of_2(n), num_warps=8)
        return y
"""

TRITON_RMS = """
import torch, triton, triton.language as tl
@triton.jit
def rms_kernel(x, w, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    v = tl.load(x + row * n + at, mask=at < n, other=0.0)
    r = tl.rsqrt(tl.sum(v * v, axis=0) / n + 1e-6)
    tl.store(y + row * n + at, v * r * tl.load(w + at, mask=at < n, other=0.0), mask=at < n)
class ModelNew(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(features))
    def forward(self, x):
        y = torch.empty_like(x)
        n = x.shape[1]
        rms_kernel[(x.shape[0],)](x, self.weight, y, n, BLOCK=triton.next_power_of_2(n), num_warps=8)
        return y
"""

CACHED = """
import torch
kept = {}
class ModelNew(torch.nn.Module):
    def forward(self, x):
        key = x.data_ptr()
        if key not in kept:
            kept[key] = torch.softmax(x, dim=1)
        return kept[key]
"""

OTHER_STREAM = """
import torch
side = torch.cuda.Stream()
class ModelNew(torch.nn.Module):
    def forward(self, x):
        with torch.cuda.stream(side):
            y = torch.softmax(x, dim=1)
        return y
"""

ITSELF = "{problem}\nModelNew = Model\n"

CASES: list[tuple[str, str, dict[str, int], str, str]] = [
    # name, problem, shape, candidate, expectation
    ("softmax-itself", SOFTMAX, {"rows": 4096, "columns": 4096}, ITSELF, "no gain"),
    ("softmax-triton", SOFTMAX, {"rows": 4096, "columns": 4096}, TRITON_SOFTMAX, "passes"),
    ("softmax-triton-odd", SOFTMAX, {"rows": 1021, "columns": 3001}, TRITON_SOFTMAX, "passes"),
    ("rms-norm-triton", RMS_NORM, {"rows": 8192, "columns": 4096}, TRITON_RMS, "passes"),
    ("softmax-cached", SOFTMAX, {"rows": 4096, "columns": 4096}, CACHED, "caught"),
    ("softmax-other-stream", SOFTMAX, {"rows": 4096, "columns": 4096}, OTHER_STREAM, "caught"),
]


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
    """One case's outcome, with the ratio over eager and its interval."""
    row: dict[str, Any] = {"passed": passed(events), "codes": codes(events)}
    for event in of(events, "benchmarked")[:1]:
        for baseline in event["baselines"]:
            row[baseline["name"]] = {key: round(baseline[key], 4) for key in ("ratio", "low", "high")}
    return row


def main() -> int:
    """Runs every case; exits with 1 when one is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--out")
    options = parser.parse_args()
    driver = Driver()
    rows, unexpected = [], 0
    for name, problem, shape, candidate, expected in CASES:
        if options.only not in name:
            continue
        if options.device == "cpu" and ("triton" in name or "stream" in name):
            continue
        if options.device == "cpu":
            shape = {key: size // 16 for key, size in shape.items()}
        text = problem.format(**shape)
        job = {
            "mode": "evaluate",
            "device": options.device,
            "problem": {"format": "kernelbench", "source": text, "name": name},
            "candidate": {"source": candidate.replace("{problem}", text)},
            "baselines": ["eager"],
            # Triton compiles its launcher and its machine code by programs of their own.
            "allow_processes": "triton" in name,
            "budget_seconds": options.seconds,
        }
        started = time.monotonic()
        events = driver.ask(job, 300)
        row = {"case": name, **shape, "expected": expected, **judged(events), "seconds": round(time.monotonic() - started, 2)}
        clean = row["passed"] and not row["codes"]
        fine = (not clean) if expected == "caught" else clean
        if expected == "no gain" and "eager" in row:
            fine = fine and row["eager"]["low"] <= 1.03
        row["as_expected"] = bool(fine)
        unexpected += not fine
        rows.append(row)
        print(json.dumps(row), flush=True)
        if not fine:
            print(json.dumps(events)[:4000], flush=True)
    driver.close()
    command = f"python3 test/gpu/judge.py --device {options.device} --seconds {options.seconds:g}"
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    result = {"command": command, "date": date, "versions": versions(), "cases": rows}
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
