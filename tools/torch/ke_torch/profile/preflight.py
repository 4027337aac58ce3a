"""Which profilers are here, and what the driver lets them count. Imports neither torch nor triton, so it is quick."""

from __future__ import annotations

import glob
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from ..compile.toolchain import find_tool

PARAMETERS = "/proc/driver/nvidia/params"
STATUS = "/proc/self/status"
CAP_SYS_ADMIN = 21
HOW_NCU = "install Nsight Compute (part of the CUDA toolkit): ncu on PATH, in CUDA_HOME/bin or in /opt/nvidia/nsight-compute"
HOW_PROTON = "pip install triton (3.2 or later; its wheel for Linux carries Proton)"
HOW_COUNTERS = (
    "let every user count: put `options nvidia NVreg_RestrictProfilingToAdminUsers=0` into /etc/modprobe.d/nvidia-profiling.conf "
    "and load the driver again (or restart); in a container that has to be done on its host"
)
# Where the installer of Nsight Compute alone puts it: outside of every PATH.
_INSTALLED = "/opt/nvidia/nsight-compute/*/ncu"


def find_ncu() -> str | None:
    """Nsight Compute's command line; None where there is none."""
    found = find_tool("ncu")
    if found is not None:
        return found
    newest = sorted(path for path in glob.glob(_INSTALLED) if os.access(path, os.X_OK))
    return newest[-1] if newest else None


def ncu_folders(ncu: str) -> list[str]:
    """What a sandbox has to show for it to start, where that is not under /usr anyway."""
    places = {os.path.dirname(os.path.realpath(ncu)), os.path.dirname(ncu)}
    # The toolkit's ncu is a script that starts the one in here.
    places.update(folder for folder in ("/opt/nvidia/nsight-compute",) if os.path.isdir(folder))
    return sorted(place for place in places if not place.startswith("/usr/"))


def _module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name) if _module(name) else None
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def proton() -> tuple[bool, str]:
    """Whether Triton's profiler is in its package. Looked for as files: importing it would import all of Triton."""
    folder = _folder("triton")
    if folder is None:
        return False, "triton is not installed"
    if not (folder / "profiler").is_dir() or not list((folder / "_C").glob("libproton*")):
        return False, "this triton was built without Proton"
    return True, "triton.profiler"


def counters(parameters: str = PARAMETERS, status: str = STATUS, confined: bool = True) -> tuple[bool | None, str]:
    """Whether hardware counters of NVIDIA devices may be read; None where only trying tells.

    `confined`: by a process without capabilities, as candidates' are.
    """
    try:
        text = Path(parameters).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None, f"{parameters} is not there: only trying tells whether counters may be read"
    admin = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("RmProfilingAdminOnly")), "")
    if admin == "0":
        return True, "the driver lets every user read counters (RmProfilingAdminOnly is 0)"
    if admin != "1":
        return None, f"{parameters} does not name RmProfilingAdminOnly: only trying tells whether counters may be read"
    if not confined and _capable(status):
        return True, "counters are for administrators (RmProfilingAdminOnly is 1), and this is one"
    return False, "the driver keeps counters for administrators (RmProfilingAdminOnly is 1), and candidates are none"


def _capable(status: str) -> bool:
    try:
        lines = Path(status).read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    effective = next((line.split()[1] for line in lines if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> CAP_SYS_ADMIN & 1)


def preflight(device: str, confined: bool = True, parameters: str = PARAMETERS) -> list[dict[str, Any]]:
    """Each profiler with `ok` (null: only trying tells), what was found and, where it does not work, how to change that."""
    torch = _module("torch")
    found: list[dict[str, Any]] = [
        {"name": "pytorch", "ok": torch, "detail": "torch.profiler" if torch else "torch is not installed",
         "fix": None if torch else "kernelevolve setup torch"},
    ]  # fmt: skip
    if device == "cpu":
        return found
    has, detail = proton()
    found.append({"name": "proton", "ok": has, "detail": detail, "fix": None if has else HOW_PROTON})
    ncu = find_ncu()
    if ncu is None:
        return [*found, {"name": "ncu", "ok": False, "detail": "Nsight Compute (ncu) is not found", "fix": HOW_NCU}]
    allowed, why = counters(parameters, confined=confined)
    return [*found, {"name": "ncu", "ok": allowed, "detail": f"{ncu}; {why}", "fix": HOW_COUNTERS if allowed is False else None}]


if __name__ == "__main__":
    import json

    print(json.dumps(preflight(sys.argv[1] if len(sys.argv) > 1 else "cuda"), indent=1))
