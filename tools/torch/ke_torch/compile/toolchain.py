"""Where the compilers and disassemblers are: on PATH, in the toolkit, in NVIDIA's packages, in Triton's."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

_PATH = "/usr/local/cuda/bin:/usr/local/bin:/usr/bin:/bin"
HOW_NVCC = (
    "install the CUDA toolkit (nvcc on PATH, or CUDA_HOME set), or "
    "`pip install nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-cccl` of one CUDA version"
)
HOW_CXX = "install g++ (apt-get install g++) or clang++"
HOW_TRITON = "pip install triton (3.5 or later; its wheel for Linux carries ptxas, cuobjdump and nvdisasm)"
HOW_DISASSEMBLER = "pip install triton (its wheel carries cuobjdump and nvdisasm), or install the CUDA toolkit's"


def _package(name: str) -> Path | None:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if found is None:
        return None
    places = list(found.submodule_search_locations or [])
    return Path(places[0]) if places else None


def _usable(path: Path | None) -> str | None:
    return str(path) if path is not None and os.access(path, os.X_OK) and path.is_file() else None


def _roots() -> list[Path]:
    roots = [Path(os.environ[name]) / "bin" for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    package = _package("nvidia")
    if package is not None:
        # One folder a package (cuda_nvcc), or one a CUDA version (cu13).
        roots += sorted(folder / "bin" for folder in package.glob("*") if (folder / "bin").is_dir())
    return roots


def find_tool(name: str) -> str | None:
    """A program of the CUDA toolkit; None where there is none."""
    found = shutil.which(name, path=os.environ.get("PATH") or _PATH)
    if found is not None:
        return found
    return next((usable for root in _roots() if (usable := _usable(root / name))), None)


def find_nvcc() -> str | None:
    """nvcc of PATH, the toolkit's folder, or NVIDIA's packages."""
    return find_tool("nvcc")


def triton_tool(name: str) -> str | None:
    """A program that Triton's wheel carries."""
    package = _package("triton")
    return None if package is None else _usable(package / "backends" / "nvidia" / "bin" / name)


def find_ptxas(number: int) -> str | None:
    """The assembler that Triton itself would use for this architecture, else the toolkit's."""
    name = "ptxas-blackwell" if number >= 100 else "ptxas"
    return triton_tool(name) or triton_tool("ptxas") or find_tool("ptxas")


def find_disassembler(name: str) -> str | None:
    """cuobjdump or nvdisasm: the toolkit's, which knows nvcc's files, else Triton's."""
    return find_tool(name) or triton_tool(name)


def compiler_environment(folder: str) -> dict[str, str]:
    """What a compiler sees of the environment."""
    nvcc = find_nvcc()
    path = os.pathsep.join(
        ([os.path.dirname(nvcc)] if nvcc else []) + [os.environ.get("PATH") or _PATH, os.path.dirname(sys.executable)]
    )
    return {"PATH": path, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}
