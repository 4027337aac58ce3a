import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compiling import CANDIDATE, H100, MI300, PROBLEM, Compiler
from driver import of

pytest.importorskip("triton")


@pytest.fixture(scope="module")
def compiler() -> Iterator[Compiler]:
    one = Compiler()
    yield one
    one.close()


def ask(compiler: Compiler, folder: Path, source: str = CANDIDATE, **more: Any) -> list[dict[str, Any]]:
    job = {"abstraction": "triton", "arch": "sm_90", "source": source, "folder": str(folder), "hardware": H100, **more}
    if "kernels" not in job and job["abstraction"] == "triton":
        job.setdefault("problem", {"format": "kernelbench", "source": PROBLEM})
    return compiler.ask(job)


def passed(events: list[dict[str, Any]]) -> bool:
    return [e["passed"] for e in of(events, "compiled")] == [True] and events[-1]["ok"]


def part(event: dict[str, Any], kind: str) -> Path:
    return Path(next(a["path"] for a in event["artifacts"] if a["type"] == kind))


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_nvidia(compiler: Compiler, tmp_path: Path, arch: str) -> None:
    events = ask(compiler, tmp_path, arch=arch)
    assert passed(events), events
    (recorded,) = of(events, "recorded")
    assert recorded["how"] == "fake" and recorded["launches"] == 1
    (kernel,) = of(events, "kernel")
    assert kernel["grid"] == [16] and kernel["constexprs"] == {"BLOCK": 1024} and kernel["divisible_by_16"] == ["x", "y", "n"]
    assert kernel["resources"]["registers"] > 0 and not kernel["spills"] and kernel["threads"] == 32 * kernel["num_warps"]
    assert {a["type"] for a in kernel["artifacts"]} >= {"ttir", "ttgir", "llir", "ptx", "cubin", "sass"}
    assert f".target {arch}" in part(kernel, "ptx").read_text() and part(kernel, "cubin").read_bytes()[:4] == b"\x7fELF"
    assert "STG" in part(kernel, "sass").read_text()
    assert kernel["occupancy"]["warps"] == kernel["occupancy"]["blocks"] * kernel["num_warps"]


@pytest.mark.parametrize("arch", ["gfx942", "gfx950"])
def test_amd(compiler: Compiler, tmp_path: Path, arch: str) -> None:
    events = ask(compiler, tmp_path, arch=arch, hardware=MI300)
    assert passed(events), events
    (kernel,) = of(events, "kernel")
    found = kernel["resources"]
    assert found["vector_registers"] > 0 and found["scalar_registers"] > 0 and found["vector_spills"] == 0
    assert kernel["threads"] == 64 * kernel["num_warps"] and kernel["occupancy"]["fraction"] == 1.0
    assert arch in part(kernel, "amdgcn").read_text() and part(kernel, "hsaco").stat().st_size > 0


def test_every_configuration_or_the_first(compiler: Compiler, tmp_path: Path) -> None:
    tuned = CANDIDATE.replace(
        "@triton.jit",
        "@triton.autotune([triton.Config({'BLOCK': 128}, num_warps=1),\n"
        "    triton.Config({'BLOCK': 512}, num_warps=8)], key=['n'])\n@triton.jit",
    ).replace(", BLOCK=1024", "")
    first = ask(compiler, tmp_path, tuned)
    assert [k["num_warps"] for k in of(first, "kernel")] == [1] and of(first, "recorded")[0]["left_out"] == 1
    every = ask(compiler, tmp_path, tuned, configs="all")
    assert [(k["config"]["BLOCK"], k["num_warps"], k["grid"]) for k in of(every, "kernel")] == [(128, 1, [128]), (512, 8, [32])]


def test_what_reads_values_is_run_on_tensors_with_contents(compiler: Compiler, tmp_path: Path) -> None:
    events = ask(
        compiler, tmp_path, CANDIDATE.replace("y = torch.empty_like(x)", "y = torch.empty_like(x) if x.sum().item() != 7 else x")
    )
    assert passed(events) and of(events, "recorded")[0]["how"] == "real" and of(events, "recorded")[0]["why_not_fake"]


def test_an_unaligned_view_is_told_from_an_aligned_one(compiler: Compiler, tmp_path: Path) -> None:
    events = ask(compiler, tmp_path, CANDIDATE.replace("](x, y, x.numel()", "](x.view(-1)[1:], y, x.numel() - 1"))
    assert [k["divisible_by_16"] for k in of(events, "kernel")] == [["y"]]


def test_errors_have_the_candidates_lines(compiler: Compiler, tmp_path: Path) -> None:
    events = ask(compiler, tmp_path, CANDIDATE.replace("tl.maximum(v, 0.0)", "tl.maximum(v, nowhere)"))
    (error,) = of(events, "compile_error")
    assert (
        error["stage"] == "triton"
        and error["kernel"] == "relu"
        and CANDIDATE.splitlines()[error["line"] - 1].startswith("    tl.store(")
    )
    assert not passed(events) and events[-1]["ok"]
    events = ask(compiler, tmp_path, CANDIDATE.replace("y = torch.empty_like(x)", "y = torch.nothing(x)"))
    (error,) = of(events, "compile_error")
    assert error["stage"] == "run" and "nothing" in error["message"] and error["line"] == 17


def test_a_candidate_is_confined(compiler: Compiler, tmp_path: Path) -> None:
    for code, failure in (("import os; os.kill(os.getppid(), 9)", "forbidden_syscall"), ("import os; os._exit(0)", "exited_early")):
        events = ask(compiler, tmp_path, code + "\n" + CANDIDATE)
        assert [f["code"] for f in of(events, "host_failure")] == [failure] and not passed(events)
    events = ask(compiler, tmp_path, "while True: pass\n" + CANDIDATE, seconds=2)
    assert [f["code"] for f in of(events, "host_failure")] == ["compile_timeout"]
    assert passed(ask(compiler, tmp_path))


def test_written_signatures(compiler: Compiler, tmp_path: Path) -> None:
    kernel = {
        "kernel": "relu",
        "signature": {"x": "*fp16:16", "y": "*fp16:16", "n": "i32", "BLOCK": "constexpr"},
        "constexprs": {"BLOCK": 512},
    }
    events = ask(compiler, tmp_path, kernels=[{**kernel, "num_warps": 2}])
    (found,) = of(events, "kernel")
    assert (
        found["num_warps"] == 2 and found["signature"]["x"] == "*fp16" and found["divisible_by_16"] == ["x", "y"] and passed(events)
    )
    bad = ask(compiler, tmp_path, kernels=[{**kernel, "kernel": "gelu"}, {"kernel": "relu", "signature": {"x": "*fp16"}}])
    assert ["relu" in e["message"] or "lacks" in e["message"] for e in of(bad, "compile_error")] == [True, True]


def test_jobs_that_cannot_be_understood(compiler: Compiler, tmp_path: Path) -> None:
    for more in (
        {"arch": "sm90"},
        {"abstraction": "hip"},
        {"wrong": 1},
        {"abstraction": "cuda", "arch": "gfx942"},
        {"configs": "some"},
    ):
        events = ask(compiler, tmp_path, **more)
        assert [e["code"] for e in of(events, "error")] == ["invalid_job"] and not events[-1]["ok"], more


EDITED = {"sm_90": ("ptx", H100), "gfx942": ("amdgcn", MI300)}


@pytest.mark.parametrize("arch", list(EDITED))
def test_an_edited_text_takes_the_kernels_place(compiler: Compiler, tmp_path: Path, arch: str) -> None:
    kind, hardware = EDITED[arch]
    (kernel,) = of(ask(compiler, tmp_path, arch=arch, hardware=hardware), "kernel")
    text = part(kernel, kind).read_text()
    edited = "// edited by hand\n" + text if kind == "ptx" else "; edited by hand\n" + text
    events = ask(compiler, tmp_path / "b", arch=arch, hardware=hardware, replace={"kernel": "relu", kind: edited})
    (replaced,) = of(events, "replaced")
    assert passed(events) and replaced["resources"]["registers"] == kernel["resources"]["registers"]
    # What the device's process would do with it: Triton takes the text that lies in the override folder.
    program = f"""
import os, sys
os.environ.update(TRITON_KERNEL_OVERRIDE="1", TRITON_CACHE_DIR={str(tmp_path / "c")!r})
os.environ["TRITON_OVERRIDE_DIR"] = {replaced["candidate_cache"]!r} + "/override"
sys.path.insert(0, {str(tmp_path)!r})
import triton, candidate
from triton.compiler import ASTSource
from triton.backends.compiler import GPUTarget
attrs = {{(i,): [["tt.divisibility", 16]] for i in range(3)}}
{"attrs[(0,)].append(['tt.pointer_range', 32]); attrs[(1,)].append(['tt.pointer_range', 32])" if kind == "amdgcn" else ""}
source = ASTSource(candidate.relu, {kernel["signature"]!r}, {{(3,): 1024}}, attrs)
target = GPUTarget(*{("cuda", 90, 32) if kind == "ptx" else ("hip", arch, 64)})
print("edited by hand" in triton.compile(source, target=target, options={{"num_warps": 4}}).asm[{kind!r}])
"""
    (tmp_path / "candidate.py").write_text(CANDIDATE)
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert said.stdout.strip().endswith("True"), said.stderr


@pytest.mark.parametrize("arch", list(EDITED))
def test_assembly_errors_have_lines(compiler: Compiler, tmp_path: Path, arch: str) -> None:
    kind, hardware = EDITED[arch]
    (kernel,) = of(ask(compiler, tmp_path, arch=arch, hardware=hardware), "kernel")
    lines = part(kernel, kind).read_text().splitlines()
    entry = r"^\s*ret;" if kind == "ptx" else r"^\s*s_endpgm"
    at = next(k for k, line in enumerate(lines) if re.match(entry, line))
    lines[at] = "\tnonsense %r1, %r2;"
    events = ask(compiler, tmp_path, arch=arch, hardware=hardware, replace={"kernel": "relu", kind: "\n".join(lines)})
    (error,) = of(events, "compile_error")
    assert error["stage"] == "assemble" and error["line"] == at + 1 and not passed(events), error


def test_text_alone_is_assembled(compiler: Compiler, tmp_path: Path) -> None:
    (kernel,) = of(ask(compiler, tmp_path), "kernel")
    text = part(kernel, "ptx").read_text()
    events = ask(compiler, tmp_path, abstraction="assembly", replace={"kernel": "relu", "ptx": text})
    (replaced,) = of(events, "replaced")
    assert passed(events) and replaced["candidate_cache"] is None and replaced["threads"] == kernel["threads"]
    wrong = ask(compiler, tmp_path, replace={"kernel": "relu", "ptx": text.replace("relu", "other")})
    assert "other" in of(wrong, "compile_error")[0]["message"]


CUDA = """
template <typename T> __global__ void scale(T* x, float f, int n) {
  __shared__ float keep[256];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  keep[threadIdx.x] = f;
  __syncthreads();
  if (i < n) x[i] = x[i] * keep[255 - threadIdx.x];
}
template __global__ void scale<float>(float*, float, int);
extern "C" __global__ void plain(float* x) { x[threadIdx.x] = 1.0f; }
"""


def test_cuda(compiler: Compiler, tmp_path: Path) -> None:
    events = ask(compiler, tmp_path, CUDA, abstraction="cuda")
    if shutil.which("nvcc") is None and [e["what"] for e in of(events, "missing")] == ["nvcc"]:
        assert "install" in of(events, "missing")[0]["reason"] and not passed(events)
        return
    assert passed(events), events
    by_name = {k["symbol"]: k for k in of(events, "kernel")}
    assert set(by_name) == {"plain", "_Z5scaleIfEvPT_fi"}
    assert (
        by_name["_Z5scaleIfEvPT_fi"]["resources"]["shared_static_bytes"] == 1024 and by_name["plain"]["resources"]["registers"] > 0
    )
    assert {f["type"] for f in of(events, "artifacts")[0]["files"]} >= {"ptx", "cubin"}
    python = f"from torch.utils.cpp_extension import load_inline\nSOURCE = '''{CUDA}'''\n"
    python += "module = load_inline('m', '', cuda_sources=[SOURCE])\n"
    assert passed(ask(compiler, tmp_path, python, abstraction="cuda"))
    for text, line in ((CUDA, 10), (python, 11)):
        broken = ask(compiler, tmp_path, text.replace("x[threadIdx.x] = 1.0f", "x[threadIdx.x] = nowhere"), abstraction="cuda")
        (error,) = of(broken, "compile_error")
        assert error["stage"] == "nvcc" and "nowhere" in error["message"] and error["line"] == line


def test_other_formats(compiler: Compiler, tmp_path: Path) -> None:
    source = CANDIDATE.split("class ModelNew")[0] + (
        "def run(x):\n    y = torch.empty_like(x)\n    relu[(4,)](x, y, x.numel(), BLOCK=64)\n    return y\n"
    )
    definition = {
        "name": "relu", "axes": {"n": {"type": "var"}}, "inputs": {"x": {"shape": ["n"], "dtype": "bfloat16"}},
        "outputs": {"y": {"shape": ["n"], "dtype": "bfloat16"}}, "reference": "def run(x):\n    return x.relu()\n",
    }  # fmt: skip
    workloads = [{"axes": {"n": 256}, "inputs": {"x": {"type": "random"}}, "uuid": "a"}]
    problem = {"format": "flashinfer", "definition": definition, "workloads": workloads}
    events = ask(compiler, tmp_path, source, problem=problem)
    assert passed(events) and of(events, "kernel")[0]["signature"]["x"] == "*bf16", events
    aten = {"format": "aten", "overload": "relu.default", "samples": 1}
    events = ask(compiler, tmp_path, source.replace("def run", "def relu__default_kernel_impl"), problem=aten)
    assert passed(events), events
