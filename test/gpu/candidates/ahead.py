"""Compiles every kernel of the KernelBench candidates for an NVIDIA GPU, without one, as the problems' own sizes launch them.

Each problem's `get_init_inputs` and `get_inputs` run on the meta device: shapes and no values. A driver that only names the
target stands in for the device's, and a launch ends when its kernel is compiled. Prints registers, spills, shared memory and the
tensor-core instructions of each.

Usage: python3 test/gpu/candidates/ahead.py --path KERNELBENCH [--only TEXT] [--arch 90]
It needs torch and triton.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

HERE = Path(__file__).resolve().parent
PTXAS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"


class Target:
    """The part of a driver that compilation asks for."""

    def __init__(self, arch: int) -> None:
        self.arch = arch

    def get_current_target(self) -> GPUTarget:
        """What is compiled for."""
        return GPUTarget("cuda", self.arch, 32)

    def get_current_device(self) -> int:
        """The only one."""
        return 0

    def get_current_stream(self, _: int) -> int:
        """None runs."""
        return 0


def module_of(path: Path, name: str) -> ModuleType:
    """A file as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def resources(kernel: Any, arch: int) -> dict[str, Any]:
    """Registers and spills by the assembler's report, shared memory by Triton's."""
    ptx = kernel.asm["ptx"]
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        argv = [str(PTXAS), "-v", f"--gpu-name=sm_{arch}{'a' if arch >= 90 else ''}", file.name, "-o", os.devnull]
        told = subprocess.run(argv, capture_output=True, text=True, check=True).stderr
    found = {
        "registers": int(re.findall(r"Used (\d+) registers", told)[0]),
        "spilled_bytes": int((re.findall(r"(\d+) bytes spill stores", told) or [0])[0]),
        "shared_bytes": kernel.metadata.shared,
        "warps": kernel.metadata.num_warps,
        "wgmma": len(re.findall(r"wgmma\.mma_async", ptx)),
        "mma": len(re.findall(r"mma\.sync", ptx)),
        "widest_load": max((int(w or 1) for w in re.findall(r"ld\.global(?:\.\w+)*?(?:\.v([248]))?\.b32", ptx)), default=0),
    }
    return {k: v for k, v in found.items() if v or k in ("registers", "spilled_bytes")}


def main() -> int:
    """Exits with 1 when a kernel does not compile or does not fit a multiprocessor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, required=True, help="a checkout of KernelBench")
    parser.add_argument("--only", default="", help="candidates whose name matches this expression")
    parser.add_argument("--arch", type=int, default=90)
    options = parser.parse_args()
    triton.runtime.driver.set_active(Target(options.arch))
    original, seen = JITFunction.run, {}

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> Any:
        kernel = original(self, *args, grid=grid, warmup=True, **kwargs)
        seen[
            f"{self.__name__} {len(seen)}" if self.__name__ in seen and seen[self.__name__][0] is not kernel else self.__name__
        ] = (
            kernel,
            [int(n) for n in grid],
        )
        return kernel

    JITFunction.run = compile_only
    failed = 0
    for file in sorted(HERE.glob("kernelbench/*/*.py"), key=lambda f: (f.parent.name, int(f.name.split("_")[0]))):
        label = f"{file.parent.name}/{file.stem}"
        if not re.search(options.only, label):
            continue
        seen.clear()
        row: dict[str, Any] = {"candidate": label}
        try:
            with torch.device("meta"), torch.no_grad():
                problem = module_of(options.path / "KernelBench" / file.parent.name / file.name, "problem")
                inputs = problem.get_inputs()
                module_of(file, "candidate").ModelNew(*problem.get_init_inputs())(*inputs)
            row["kernels"] = {name: {"grid": grid, **resources(kernel, options.arch)} for name, (kernel, grid) in seen.items()}
            if any(k.get("shared_bytes", 0) > 232448 for k in row["kernels"].values()):
                row["error"] = "more shared memory than a multiprocessor has"
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {error}"[-1500:]
        failed += "error" in row
        print(json.dumps(row), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
