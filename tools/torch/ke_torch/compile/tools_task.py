"""In a confined worker that runs no candidate: assemblers, disassemblers and nvcc over text that candidates made."""

from __future__ import annotations

import base64
import importlib
import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

from .arch import parse_arch
from .build_task import cuda_headers
from .toolchain import (
    HOW_DISASSEMBLER,
    HOW_NVCC,
    HOW_TRITON,
    compiler_environment,
    find_disassembler,
    find_nvcc,
    find_ptxas,
)

Write = Callable[..., None]
SAID_CAP = 1 << 18


def _call(argv: list[str], folder: str) -> tuple[int, bytes, str]:
    """Runs a tool. Time is kept from outside."""
    found = subprocess.run(
        argv, cwd=folder, env=compiler_environment(folder), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return found.returncode, found.stdout, found.stderr.decode(errors="replace")[-SAID_CAP:]


def _file(folder: str, name: str, data: bytes) -> str:
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def _disassemble(binary: str, folder: str, write: Write, label: str) -> None:
    tool = find_disassembler("nvdisasm")
    if tool is None:
        write("missing", what="sass", reason=HOW_DISASSEMBLER)
        return
    code, out, said = _call([tool, "-c", binary], folder)
    if code != 0 or not out.strip():
        other = find_disassembler("cuobjdump")
        if other is not None:
            code, out, said = _call([other, "-sass", binary], folder)
    if code == 0 and out.strip():
        write("artifact", out, type="sass", label=label)
    else:
        write("missing", what="sass", reason=f"the disassembler does not read this file: {said[-300:]}")


def _ptx(one: dict[str, Any], folder: str, number: int, write: Write) -> None:
    tool = find_ptxas(int(number))
    if tool is None:
        write("missing", what="ptxas", reason=HOW_TRITON)
        return
    text, label = base64.b64decode(one["data"]), str(one["label"])
    path, out = _file(folder, f"{label}.ptx", text), os.path.join(folder, f"{label}.cubin")
    code, _, said = _call([tool, "-v", f"--gpu-name={one['arch']}", path, "-o", out], folder)
    write("assembled", label=label, ok=code == 0, said=said, file=path, tool="ptxas")
    if code == 0:
        if one["keep_binary"]:
            with open(out, "rb") as file:
                write("artifact", file.read(), type="cubin", label=label)
        if one["sass"]:
            _disassemble(out, folder, write, label)


def _amdgcn(one: dict[str, Any], folder: str, write: Write) -> None:
    label = str(one["label"])
    try:
        amd = importlib.import_module("triton._C.libtriton").amd
        llvm = importlib.import_module("triton._C.libtriton").llvm
    except (ImportError, AttributeError):
        write("missing", what="AMD assembler", reason=HOW_TRITON)
        return
    llvm.init_targets()
    text = base64.b64decode(one["data"]).decode(errors="replace")
    # Asked in another process: what LLVM says goes to stderr, and there it may also end the process.
    read, other = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(other, 2)
        code = 3
        try:
            binary = amd.assemble_amdgcn(text, one["arch"], "")
            if not binary:
                os._exit(code)
            path = _file(folder, f"{label}.o", binary)
            amd.link_hsaco(path, os.path.join(folder, f"{label}.hsaco"))
            code = 0
        except Exception as error:
            os.write(2, f"{error}\n".encode()[:4000])
        finally:
            os._exit(code)
    os.close(other)
    said = b""
    while data := os.read(read, 65536):
        said = (said + data)[-SAID_CAP:]
    _, status = os.waitpid(pid, 0)
    ok = status == 0 and os.path.exists(os.path.join(folder, f"{label}.hsaco")) and b"error:" not in said
    write("assembled", label=label, ok=ok, said=said.decode(errors="replace"), file="<stdin>", tool="llvm")
    if ok and one["keep_binary"]:
        with open(os.path.join(folder, f"{label}.hsaco"), "rb") as file:
            write("artifact", file.read(), type="hsaco", label=label)


def assemble(asked: dict[str, Any], folder: str, write: Write) -> None:
    """Assembles texts, and disassembles what came of it."""
    for one in asked["texts"]:
        if one["type"] == "ptx":
            _ptx(one, folder, int(parse_arch(asked["arch"]).number), write)
        else:
            _amdgcn(one, folder, write)


def _torch_folders() -> list[str]:
    extension = importlib.import_module("torch.utils.cpp_extension")
    return [str(path) for path in extension.include_paths()]


def nvcc(asked: dict[str, Any], folder: str, write: Write) -> None:
    """Compiles CUDA sources to PTX and a cubin for one architecture."""
    tool = find_nvcc()
    if tool is None:
        write("missing", what="nvcc", reason=HOW_NVCC)
        return
    _, version, _ = _call([tool, "--version"], folder)
    write("tool", name="nvcc", version=version.decode(errors="replace").strip().splitlines()[-2:])
    path = _file(folder, "candidate.cu", base64.b64decode(asked["data"]))
    flags = ["-std=c++20", "-lineinfo", f"-arch={asked['gpu']}", *asked["flags"]]
    if asked["torch_headers"]:
        folders = _torch_folders()
        folders += cuda_headers(folder, folders)
        flags += ["--expt-relaxed-constexpr", "-DTORCH_EXTENSION_NAME=candidate", *(f"-I{p}" for p in folders)]
    for kind, argv in (("cubin", ["-Xptxas", "-v", "-cubin"]), ("ptx", ["-ptx"])):
        start = time.monotonic()
        out = os.path.join(folder, f"candidate.{kind}")
        code, more, said = _call([tool, *flags, *argv, "-o", out, path], folder)
        said = more.decode(errors="replace")[-SAID_CAP:] + said
        write(
            "assembled",
            label="candidate",
            ok=code == 0,
            said=said,
            file=path,
            tool="nvcc",
            step=kind,
            seconds=time.monotonic() - start,
        )
        if code != 0:
            return
        with open(out, "rb") as file:
            write("artifact", file.read(), type=kind, label="candidate")
        if kind == "cubin":
            _disassemble(out, folder, write, "candidate")


def run(asked: dict[str, Any], folder: str, write: Write) -> None:
    """The task."""
    {"assemble": assemble, "nvcc": nvcc}[asked["task"]](asked, folder, write)
