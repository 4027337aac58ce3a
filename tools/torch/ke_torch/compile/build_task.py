"""In a confined worker that runs no candidate: the compiler over a candidate's CUDA or C++ source, to a shared object."""

from __future__ import annotations

import base64
import importlib
import os
import re
import subprocess
import sysconfig
import time
from collections.abc import Callable, Sequence
from typing import Any

from .toolchain import HOW_CXX, HOW_NVCC, compiler_environment, find_nvcc, find_tool

Write = Callable[..., None]
SAID_CAP = 1 << 18
# The operator that a host finds the function under: one candidate a process, so that the name need not differ.
SPACE, ENTRY = "candidate", "run"
_TAIL = """
#include <torch/library.h>
TORCH_LIBRARY({space}, ke_library) {{ ke_library.def("{entry}", &{entry}); }}
"""


def compiler_of(language: str) -> str | None:
    """The program that builds a language: nvcc for `cuda`, the host's compiler for `cpp`."""
    return find_nvcc() if language == "cuda" else find_tool("g++") or find_tool("clang++")


def _torch_lines(source: str, cuda: bool) -> tuple[list[str], list[str]]:
    """What finds torch's headers, and what finds its libraries."""
    torch = importlib.import_module("torch")
    extension = importlib.import_module("torch.utils.cpp_extension")
    folders = [str(path) for path in extension.include_paths()]
    python = sysconfig.get_paths().get("include", "")
    if os.path.isfile(os.path.join(python, "Python.h")):
        folders.append(python)
    library = os.path.join(os.path.dirname(str(torch.__file__)), "lib")
    names = ["torch", "torch_cpu", "c10"]
    if cuda and torch.version.cuda:
        names += ["torch_cuda", "c10_cuda"]
    if re.search(r"torch/extension\.h|pybind11|torch/python\.h", source):
        names.append("torch_python")
    abi = int(torch.compiled_with_cxx11_abi())
    head = [f"-D_GLIBCXX_USE_CXX11_ABI={abi}", f"-DTORCH_EXTENSION_NAME={SPACE}", *(f"-I{folder}" for folder in folders)]
    # What is loaded already is found by its name: the shared object needs no path of this machine.
    return head, [f"-L{library}", *(f"-l{name}" for name in names)]


def cuda_headers(folder: str, folders: Sequence[str]) -> list[str]:
    """A folder with the one header that torch's builds without CUDA leave out of their own, where it is missing."""
    name = "c10/cuda/impl/cuda_cmake_macros.h"
    if any(os.path.isfile(os.path.join(one, name)) for one in folders):
        return []
    place = os.path.join(folder, "without-cuda")
    os.makedirs(os.path.dirname(os.path.join(place, name)), exist_ok=True)
    with open(os.path.join(place, name), "w", encoding="utf8") as file:
        file.write("#pragma once\n#define C10_CUDA_BUILD_SHARED_LIBS\n")
    return [place]


def command(language: str, source: str, arch: str, flags: Sequence[str]) -> tuple[list[str], list[str]]:
    """The compiler with what comes before the source's path, and what comes after it."""
    tool = compiler_of(language)
    assert tool is not None
    head, tail = _torch_lines(source, language == "cuda")
    if language == "cuda":
        own = ["-Xcompiler", "-fPIC", "--expt-relaxed-constexpr", "--expt-extended-lambda", "-lineinfo", f"-arch={arch}"]
        # NVIDIA's packages have their libraries where their own nvcc does not look.
        library = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(tool))), "lib")
        if os.path.isfile(os.path.join(library, "libcudart_static.a")):
            tail = [*tail, f"-L{library}"]
        return [tool, "-std=c++20", "-shared", *own, *head, *flags], tail
    return [tool, "-std=c++20", "-shared", "-fPIC", *head, *flags], tail


def run(asked: dict[str, Any], folder: str, write: Write) -> None:
    """The task: the shared object as an artifact, or what the compiler says against the source."""
    language, source = str(asked["language"]), base64.b64decode(asked["data"]).decode(errors="replace")
    tool = compiler_of(language)
    if tool is None:
        cuda = language == "cuda"
        write("missing", what="nvcc" if cuda else "g++", reason=HOW_NVCC if cuda else HOW_CXX)
        return
    environment = compiler_environment(folder)
    said = subprocess.run([tool, "--version"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    told = said.stdout.decode(errors="replace").strip().splitlines()
    write("tool", name=os.path.basename(tool), version=told[-2:] if language == "cuda" else told[:1])
    name = "candidate.cu" if language == "cuda" else "candidate.cpp"
    with open(os.path.join(folder, name), "w", encoding="utf8") as file:
        file.write(source + _TAIL.format(space=SPACE, entry=ENTRY))
    before, after = command(language, source, str(asked["arch"]), asked["flags"])
    if language == "cuda":
        before += [f"-I{one}" for one in cuda_headers(folder, [a[2:] for a in before if a.startswith("-I")])]
    start = time.monotonic()
    # A relative name: complaints then name no folder of this machine.
    argv = [*before, name, "-o", "candidate.so", *after]
    built = subprocess.run(argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    text = (built.stderr + built.stdout).decode(errors="replace")[-SAID_CAP:]
    write("assembled", ok=built.returncode == 0, said=text, file=name, seconds=time.monotonic() - start)
    if built.returncode == 0:
        with open(os.path.join(folder, "candidate.so"), "rb") as file:
            write("artifact", file.read(), type="module")
