"""A compile program that serves many jobs, and what the tests hand to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any

from driver import TOOL

H100 = {
    "warp_size": 32, "warps_per_sm": 64, "blocks_per_sm": 32, "registers_per_sm": 65536, "register_allocation_unit": 256,
    "schedulers_per_sm": 4, "shared_memory_per_sm": 233472, "shared_memory_allocation_unit": 128,
    "shared_memory_reserved_per_block": 1024, "shared_memory_per_block": 232448, "threads_per_block": 1024, "sms": 132,
}  # fmt: skip
MI300 = {
    "wavefront_size": 64, "simds_per_cu": 4, "waves_per_simd": 8, "vgprs_per_simd": 512, "vgpr_granule": 8, "lds_per_cu": 65536,
    "lds_per_workgroup": 65536,
}  # fmt: skip
PROBLEM = """
import torch
class Model(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.linear = torch.nn.Linear(n, n)
    def forward(self, x):
        return torch.relu(self.linear(x))
def get_inputs(): return [torch.randn(64, 256)]
def get_init_inputs(): return [256]
"""
CANDIDATE = """
import torch, triton, triton.language as tl

@triton.jit
def relu(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n)
    tl.store(y + at, tl.maximum(v, 0.0), mask=at < n)

class ModelNew(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.linear = torch.nn.Linear(n, n)
    def forward(self, x):
        assert x.is_cuda and x.device.type == "cuda"
        x = self.linear(x)
        y = torch.empty_like(x)
        relu[lambda meta: (triton.cdiv(x.numel(), meta["BLOCK"]),)](x, y, x.numel(), BLOCK=1024)
        return y
"""


class Compiler:
    """`python -m ke_torch.compile --serve` behind two pipes."""

    def __init__(self, module: str = "ke_torch.compile") -> None:
        env = {**os.environ, "PYTHONPATH": str(TOOL), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [sys.executable, "-m", module, "--serve"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True)

    def ask(self, job: dict[str, Any], seconds: float = 300) -> list[dict[str, Any]]:
        """Events of one job, the closing line among them."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        events: list[dict[str, Any]] = []
        guard = threading.Timer(seconds, self.process.kill)
        guard.start()
        try:
            for line in self.process.stdout:
                events.append(json.loads(line))
                if events[-1]["event"] == "done":
                    return events
        finally:
            guard.cancel()
        raise AssertionError(f"the program ended after {events[-3:]}")

    def close(self) -> None:
        """Hangs up; it ends by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)
