"""CUDA and C++ sources as candidates: built once by content, loaded as a torch operator. Runs in the candidate's host.

The contract is in README.md ("CUDA and C++ candidates").
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from .resources import parse_diagnostics
from .toolchain import HOW_NVCC, compiler_environment, find_nvcc, find_tool

ENTRY = "run"
_DEVICE_CODE = re.compile(r"__global__|<<<|#\s*include\s*[<\"](?:cuda|cooperative_groups|mma|cub/|cute/|cutlass/|thrust/)")
_TAIL = """
#include <torch/library.h>
TORCH_LIBRARY({space}, ke_module) {{ ke_module.def("{entry}", &{entry}); }}
"""


class BuildError(RuntimeError):
    """The source does not build; the message has the compiler's first errors by line."""


def is_cuda(source: str) -> bool:
    """Whether a text needs nvcc; a host compiler does otherwise."""
    return _DEVICE_CODE.search(source) is not None


def _architecture() -> str:
    major, minor = torch.cuda.get_device_capability()
    return f"sm_{major}{minor}{'a' if major >= 9 else ''}"


def _command(cuda: bool, flags: Sequence[str]) -> list[str]:
    from torch.utils import cpp_extension

    headers = [str(p) for p in cpp_extension.include_paths("cuda" if cuda and torch.version.cuda else "cpu")]
    python = sysconfig.get_paths().get("include", "")
    if os.path.isfile(os.path.join(python, "Python.h")):
        headers.append(python)
    library = os.path.join(os.path.dirname(torch.__file__), "lib")
    common = ["-std=c++17", "-O3", f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}", *(f"-I{h}" for h in headers)]
    names = ["torch", "torch_cpu", "c10", *(["torch_cuda", "c10_cuda"] if torch.version.cuda else [])]
    link = [f"-L{library}", *(f"-l{name}" for name in names)]
    if cuda:
        tool = find_nvcc()
        if tool is None:
            raise BuildError(f"a CUDA source needs nvcc: {HOW_NVCC}")
        own = ["-shared", "-Xcompiler", "-fPIC", "--expt-relaxed-constexpr", "-lineinfo", f"-arch={_architecture()}"]
        return [tool, *common, *own, *flags, *link, "-Xlinker", f"-rpath,{library}"]
    host = find_tool("g++") or find_tool("clang++")
    if host is None:
        raise BuildError("a C++ source needs g++ or clang++: install g++ (apt-get install g++)")
    return [host, *common, "-shared", "-fPIC", *flags, *link, f"-Wl,-rpath,{library}"]


def _digest(source: str, entry: str, command: Sequence[str]) -> str:
    version = subprocess.run([command[0], "--version"], capture_output=True, check=False).stdout
    parts = [source, entry, torch.__version__, *command, version.decode(errors="replace")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


@contextlib.contextmanager
def _alone(path: Path) -> Any:
    with open(path, "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(source: str, entry: str = ENTRY, flags: Sequence[str] = ()) -> tuple[Path, str]:
    """The shared object of a source, built now or found: its folder is named by everything that it depends on.

    @returns its path and the namespace that its operator is in.
    @raises BuildError
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", entry) or re.search(rf"\b{entry}\s*\(", source) is None:
        raise BuildError(f"the source defines no function {entry}: `torch::Tensor {entry}(torch::Tensor x, …)`")
    cuda = is_cuda(source)
    command = _command(cuda, flags)
    digest = _digest(source, entry, command)
    space, root = f"ke_{digest}", Path(os.environ.get("TORCH_EXTENSIONS_DIR") or tempfile.gettempdir())
    place = root / space
    found = place / "module.so"
    if found.is_file():
        return found, space
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root / f"{space}.lock"):
        if found.is_file():
            return found, space
        work = Path(tempfile.mkdtemp(prefix=f"{space}-", dir=root))
        try:
            text = work / f"candidate.{'cu' if cuda else 'cpp'}"
            text.write_text(source + _TAIL.format(space=space, entry=entry), encoding="utf8")
            argv = [*command, str(text), "-o", str(work / "module.so")]
            # The linker takes libraries in order: they come after what needs them.
            libraries = [a for a in argv if a.startswith("-l") and not a.startswith("-lineinfo")]
            argv = [a for a in argv if a not in libraries] + libraries
            done = subprocess.run(argv, env=compiler_environment(str(work)), cwd=work, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BuildError(_complaint(done.stderr + done.stdout, str(text)))
            with contextlib.suppress(OSError):
                # Whole or not at all; whoever was first wins, the others use that.
                os.rename(work, place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    if not found.is_file():
        raise BuildError(f"{place} cannot be written")
    return found, space


def _complaint(said: str, path: str) -> str:
    name = os.path.basename(path)
    found = [d for d in parse_diagnostics(said, {path: name, name: name}) if d.severity == "error"]
    lines = [f"{d.file or name}:{d.line or '?'}: {d.message}" for d in found[:10]]
    return "the source does not compile:\n" + ("\n".join(lines) if lines else said.strip()[-3000:])


def load(source: str, entry: str = ENTRY, flags: Sequence[str] = ()) -> Callable[..., Any]:
    """The source's function as a torch operator.

    @raises BuildError
    """
    path, space = build(source, entry, flags)
    if not hasattr(getattr(torch.ops, space), entry):
        torch.ops.load_library(str(path))
    return getattr(getattr(torch.ops, space), entry)


def python_candidate(source: str, format_: str, entry: str, flags: Sequence[str] = ()) -> str:
    """The Python file that makes a CUDA or C++ source a candidate of a problem format; `entry` is what the format calls."""
    head = f"import torch\nfrom ke_torch.compile.cuda_module import load\n\n_call = load({source!r}, flags={list(flags)!r})\n\n\n"
    if format_ == "kernelbench":
        return head + (
            f"class {entry}(torch.nn.Module):\n    def __init__(self, *args, **kwargs):\n        super().__init__()\n\n"
            "    def forward(self, *inputs):\n        return _call(*inputs)\n"
        )
    if format_ == "kernelbot":
        return head + f"def {entry}(data):\n    return _call(*data) if isinstance(data, (list, tuple)) else _call(data)\n"
    return head + f"def {entry}(*args, **kwargs):\n    return _call(*args, **kwargs)\n"
