"""Every profiler that is here over a Triton softmax, a Triton matmul and a chain of small operators; what limits each.

Usage: python3 test/gpu/profiling.py --out results.json          (needs torch, triton and an NVIDIA GPU)
       python3 test/gpu/profiling.py --device cpu --out x.json    (the same path without a device: PyTorch's profiler alone)

The outputs of the profilers are kept in the results. Where Node is on PATH the diagnosis is printed at once; elsewhere
`node test/gpu/diagnose.ts results.json` reads the same file and prints it, on any machine.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOOL = HERE.parents[1] / "tools" / "torch"
sys.path.insert(0, str(TOOL / "tests"))
sys.path.insert(0, str(HERE))
from compiling import H100  # noqa: E402
from judge import versions  # noqa: E402

CALLS = 5
PROBLEM = """import torch
class Model(torch.nn.Module):
    def forward(self, {names}):
        return {body}
def get_inputs():
    return [{inputs}]
def get_init_inputs():
    return []
"""
SOFTMAX = """import torch, triton, triton.language as tl

@triton.jit
def softmax_kernel(x, y, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * columns
    at = tl.arange(0, BLOCK)
    value = tl.load(x + row + at, mask=at < columns, other=-float("inf"))
    value = tl.exp(value - tl.max(value, axis=0))
    tl.store(y + row + at, value / tl.sum(value, axis=0), mask=at < columns)

class ModelNew(torch.nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        softmax_kernel[(x.shape[0],)](x, y, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]), num_warps=8)
        return y
"""
MATMUL = """import torch, triton, triton.language as tl

@triton.jit
def matmul_kernel(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    pid = tl.program_id(0)
    columns = tl.cdiv(N, BN)
    m = (pid // columns) * BM + tl.arange(0, BM)
    n = (pid % columns) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    left = a + m[:, None] * K + k[None, :]
    right = b + k[:, None] * N + n[None, :]
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for _ in range(0, K, BK):
        total = tl.dot(tl.load(left), tl.load(right), total)
        left += BK
        right += BK * N
    tl.store(c + m[:, None] * N + n[None, :], total.to(tl.float16))

class ModelNew(torch.nn.Module):
    def forward(self, a, b):
        (M, K), N = a.shape, b.shape[1]
        c = torch.empty((M, N), dtype=a.dtype, device=a.device)
        grid = (triton.cdiv(M, 128) * triton.cdiv(N, 128),)
        matmul_kernel[grid](a, b, c, M, N, K, BM=128, BN=128, BK=64, num_warps=8, num_stages=3)
        return c
"""
CHAIN = "functools.reduce(lambda y, _: torch.relu(y + 1.0) * 0.5, range(8), x)"


def cases(device: str) -> dict[str, dict[str, Any]]:
    """Problem and candidate by name; small where a processor interprets the kernels."""
    rows, side = (8192, 4096) if device != "cpu" else (64, 128)
    chain = "import functools\n" + PROBLEM.format(names="x", body=CHAIN, inputs="torch.randn(256, 256)")
    product = f"torch.randn({side}, {side}).half()"
    return {
        "softmax": {
            "problem": PROBLEM.format(names="x", body="torch.softmax(x, dim=-1)", inputs=f"torch.randn({rows}, {rows})"),
            "candidate": SOFTMAX, "abstraction": "triton",
        },
        "matmul": {
            "problem": PROBLEM.format(names="a, b", body="a @ b", inputs=f"{product}, {product}"),
            "candidate": MATMUL, "abstraction": "triton",
        },
        "chain": {"problem": chain, "candidate": chain.replace("Model(", "ModelNew("), "abstraction": "pytorch"},
    }  # fmt: skip


def ask(module: str, job: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """The events of one job of a program of tools/torch."""
    env = {**os.environ, "PYTHONPATH": str(TOOL), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", module]
    try:
        done = subprocess.run(argv, input=json.dumps(job), capture_output=True, text=True, env=env, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return [{"event": "error", "code": "infrastructure", "message": f"{module} did not answer within {seconds:.0f} s"}]
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return events or [{"event": "error", "code": "infrastructure", "message": done.stderr[-2000:]}]


def compiled(case: dict[str, Any], name: str, device: str) -> list[dict[str, Any]]:
    """The compiler's report for this device."""
    if case["abstraction"] != "triton" or device == "cpu":
        return []
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    with tempfile.TemporaryDirectory() as folder:
        job = {
            "abstraction": "triton", "arch": f"sm_{major}{minor}", "source": case["candidate"], "folder": folder,
            "problem": {"format": "kernelbench", "source": case["problem"], "name": name}, "artifacts": ["ptx"],
            "hardware": H100 if (major, minor) == (9, 0) else {},
        }  # fmt: skip
        events = ask("ke_torch.compile", job, 200)
    return [event for event in events if event["event"] in ("kernel", "compile_error", "missing", "error")]


def profiled(case: dict[str, Any], name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One case under every profiler, with the outputs as they are."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        job = {
            "device": options.device, "folder": folder, "calls": CALLS, "seconds": options.seconds,
            "problem": {"format": "kernelbench", "source": case["problem"], "name": name},
            "candidate": {"source": case["candidate"]}, "allow_processes": options.device != "cpu",
            "preload": ["triton"] if options.device != "cpu" else [],
        }  # fmt: skip
        events = ask("ke_torch.profile", job, 4 * options.seconds + 120)
        texts = {e["way"]: Path(e["path"]).read_text(encoding="utf8") for e in events if e["event"] == "profiled"}
    seconds = round(time.monotonic() - started, 1)
    return {"events": events, "texts": texts, "compiled": compiled(case, name, options.device), "seconds": seconds}


def node_that_reads_types() -> str | None:
    """Node 24 or later; None where there is none."""
    node = shutil.which("node")
    if node is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip().lstrip("v")
    major = said.partition(".")[0]
    return node if major.isdigit() and int(major) >= 24 else None


def main() -> int:
    """Profiles the cases; the exit code says whether every profiler that the preflight found usable answered for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--seconds", type=float, default=120, help="limit of one profiled process")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    result: dict[str, Any] = {
        "command": shlex.join(["python3", "test/gpu/profiling.py", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(), "calls": CALLS, "cases": {},
    }  # fmt: skip
    fine, out = True, Path(options.out)
    for name, case in cases(options.device).items():
        if options.only not in name:
            continue
        row = profiled(case, name, options)
        result["cases"][name] = row
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
        for event in row["events"]:
            if event["event"] in ("preflight", "unprofiled", "error", "host_failure"):
                print(json.dumps({"case": name, **event})[:1500], flush=True)
        found = [p for e in row["events"] if e["event"] == "preflight" for p in e["profilers"] if p["ok"]]
        answered = {e["profiler"] for e in row["events"] if e["event"] == "profiled"}
        left = [p["name"] for p in found if p["name"] not in answered]
        print(json.dumps({"case": name, "answered": sorted(answered), "left": left, "seconds": row["seconds"]}), flush=True)
        fine = fine and not left and bool(found)
    node = node_that_reads_types()
    if node is None:
        print(f"no Node 24 here: `node test/gpu/diagnose.ts {options.out}` prints the diagnosis")
    else:
        fine = subprocess.run([node, str(HERE / "diagnose.ts"), str(out)], check=False).returncode == 0 and fine
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
