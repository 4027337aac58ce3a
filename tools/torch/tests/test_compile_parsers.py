"""Texts of compilers in the forms that their documentation shows; the numbers are made up."""

import pytest

from ke_torch.compile.arch import ArchError, parse_arch
from ke_torch.compile.frames import FrameError, Reader
from ke_torch.compile.inline import cuda_of_python, looks_like_python
from ke_torch.compile.occupancy import occupancy
from ke_torch.compile.resources import parse_amdgcn, parse_diagnostics, parse_listing, parse_ptxas
from ke_torch.compile.triton_task import parse_signature
from ke_torch.formats import FormatError

H100 = {
    "warp_size": 32, "warps_per_sm": 64, "blocks_per_sm": 32, "registers_per_sm": 65536, "register_allocation_unit": 256,
    "schedulers_per_sm": 4, "shared_memory_per_sm": 233472, "shared_memory_allocation_unit": 128,
    "shared_memory_reserved_per_block": 1024,
}  # fmt: skip
MI300 = {
    "wavefront_size": 64,
    "simds_per_cu": 4,
    "waves_per_simd": 8,
    "vgprs_per_simd": 512,
    "vgpr_granule": 8,
    "lds_per_cu": 65536,
}
PTXAS = """ptxas info    : 11 bytes gmem, 8 bytes cmem[4]
ptxas info    : Compiling entry function 'first' for 'sm_90a'
ptxas info    : Function properties for first
    1552 bytes stack frame, 1868 bytes spill stores, 1940 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 2112 bytes smem, 400 bytes cmem[0], 8 bytes cmem[2]
ptxas info    : Function properties for helper
    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Compiling entry function '_Z6secondPf' for 'sm_90a'
ptxas info    : Function properties for _Z6secondPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers
"""
AMDGCN = """	.text
; TotalNumVgprs: 40
	.amdgpu_metadata
---
amdhsa.kernels:
  - .agpr_count:     8
    .args:
      - .address_space:  global
        .name:           x
        .size:           8
    .group_segment_fixed_size: 512
    .max_flat_workgroup_size: 256
    .name:           mm
    .private_segment_fixed_size: 16
    .sgpr_count:     24
    .sgpr_spill_count: 1
    .symbol:         mm.kd
    .vgpr_count:     40
    .vgpr_spill_count: 3
    .wavefront_size: 64
amdhsa.target:   amdgcn-amd-amdhsa--gfx942
...
"""


def test_ptxas_verbose() -> None:
    found = parse_ptxas(PTXAS)
    assert set(found) == {"first", "_Z6secondPf"}
    first, second = found["first"], found["_Z6secondPf"]
    assert (first.registers, first.stack_bytes, first.spill_store_bytes, first.spill_load_bytes) == (32, 1552, 1868, 1940)
    assert (first.shared_static_bytes, first.barriers, first.constant_bytes) == (2112, 1, 408)
    assert (second.registers, second.spill_store_bytes, second.shared_static_bytes) == (12, 0, 0)
    assert parse_ptxas("ptxas fatal   : Unresolved extern function 'f'") == {}


def test_amd_metadata() -> None:
    (found,) = parse_amdgcn(AMDGCN).values()
    assert set(parse_amdgcn(AMDGCN)) == {"mm"} and found.known() == {
        "registers": 40, "vector_registers": 40, "accumulation_registers": 8, "scalar_registers": 24, "vector_spills": 3,
        "scalar_spills": 1, "scratch_bytes": 16, "shared_static_bytes": 512,
    }  # fmt: skip
    assert parse_amdgcn("s_endpgm") == {}


def test_diagnostics() -> None:
    text = "\n".join(
        [
            "ptxas /b/k.ptx, line 42; error   : Unexpected instruction types specified for 'add'",
            "ptxas fatal   : Ptx assembly aborted due to errors",
            '/b/k.cu(7): error: identifier "nowhere" is undefined',
            '/b/k.cu(9): warning #177-D: variable "a" was declared but never referenced',
            "k.cpp:3:14: error: expected ';'",
        ]
    )
    found = [(d.severity, d.line, d.column, d.file) for d in parse_diagnostics(text, {"/b/k.cu": "k.cu"})]
    assert found == [
        ("error", 42, None, "/b/k.ptx"), ("error", None, None, "ptxas"), ("error", 7, None, "k.cu"), ("warning", 9, None, "k.cu"),
        ("error", 3, 14, "k.cpp"),
    ]  # fmt: skip
    listing = parse_listing(
        "error: invalid instruction\n        bad v1\n        ^\nerror: again\n        bad v1\n", "x\n\tbad v1\n\tbad  v1\n"
    )
    assert [(d.message, d.line) for d in listing] == [("invalid instruction", 2), ("again", 3)]


@pytest.mark.parametrize(
    ("threads", "registers", "shared", "blocks", "by"),
    [
        (256, 32, 2112, 8, ["registers", "warps"]), (256, 128, 96 << 10, 2, ["registers", "shared_memory"]),
        (1024, 64, 0, 1, ["registers"]), (128, 255, 0, 2, ["registers"]), (32, 16, 0, 32, ["blocks"]), (96, 16, 0, 21, ["warps"]),
    ],
)  # fmt: skip
def test_occupancy_of_nvidia(threads: int, registers: int, shared: int, blocks: int, by: list[str]) -> None:
    estimate, lacking = occupancy("cuda", H100, threads, registers, shared)
    assert estimate is not None and not lacking and (estimate["blocks"], estimate["limited_by"]) == (blocks, by)
    assert estimate["fraction"] == blocks * -(-threads // 32) / 64


def test_occupancy_of_amd_and_without_limits() -> None:
    estimate, _ = occupancy("hip", MI300, 256, 128, 32768)
    assert estimate is not None and estimate["blocks"] == 2 and estimate["limited_by"] == ["shared_memory"]
    estimate, _ = occupancy("hip", MI300, 256, 129, 0)
    assert estimate is not None and estimate["blocks"] == 3 and estimate["fraction"] == 3 / 8
    assert occupancy("cuda", {}, 256, 32, 0)[0] is None and "registers_per_sm" in occupancy("cuda", {}, 256, 32, 0)[1]


def test_architectures() -> None:
    assert [parse_arch(a).assembler_name for a in ("sm_80", "sm_90", "sm_90a", "sm_100", "gfx942")] == [
        "sm_80", "sm_90a", "sm_90a", "sm_100a", "gfx942",
    ]  # fmt: skip
    assert (
        parse_arch("sm_100").capability == (10, 0)
        and parse_arch("gfx1100").warp_size == 32
        and parse_arch("gfx942").capability == (9, 4)
    )
    for name in ("", "sm90", "gfx", "cpu", "sm_90;x"):
        with pytest.raises(ArchError):
            parse_arch(name)


def test_sources_given_to_load_inline() -> None:
    python = "import x\nA = '''\n__global__ void f() {}\n'''\nm = load_inline(name='m', cpp_sources='', cuda_sources=A)\n"
    text, before = cuda_of_python(python)
    assert "__global__" in text and before == 1 and looks_like_python(python) and not looks_like_python("__global__ void f() {}")
    for bad in ("m = load_inline('m', '', cuda_sources=open('f').read())", "x = 1", "m = load_inline('m', cpp_sources=A)"):
        with pytest.raises(FormatError):
            cuda_of_python(bad)


def test_signatures() -> None:
    types, values, divisible = parse_signature({"x": "*fp16:16", "n": "i32", "s": "i32:1", "B": "constexpr"}, {"B": 64})
    assert (
        types == {"x": "*fp16", "n": "i32", "s": "constexpr", "B": "constexpr"} and values == {"B": 64, "s": 1} and divisible == [0]
    )
    for bad in ({"B": "constexpr"}, {"x": "*fp16:8"}):
        with pytest.raises(ValueError):
            parse_signature(bad, {})


@pytest.mark.parametrize("data", [b"\xff" * 12, b"\x02\0\0\0" + b"\0" * 8 + b"{]", b"\x02\0\0\0" + b"\0" * 8 + b"[]"])
def test_a_stream_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        list(Reader().feed(data))
