"""How many blocks fit a multiprocessor or compute unit at once: plain arithmetic on limits that the caller gives.

The names are those of a target's ``limits``. NVIDIA allocates registers per warp in units, within one of the schedulers' parts of
the register file (the algorithm of the toolkit's occupancy header); AMD per wavefront and lane in granules, within a SIMD.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NVIDIA = (
    "warp_size", "warps_per_sm", "blocks_per_sm", "registers_per_sm", "register_allocation_unit", "schedulers_per_sm",
    "shared_memory_per_sm", "shared_memory_allocation_unit", "shared_memory_reserved_per_block",
)  # fmt: skip
AMD = ("wavefront_size", "simds_per_cu", "waves_per_simd", "vgprs_per_simd", "vgpr_granule", "lds_per_cu")


def _up(value: float, unit: float) -> int:
    unit = max(1, int(unit))
    return -(-int(value) // unit) * unit


def _answer(blocks: Mapping[str, int], warps: int, most: int) -> dict[str, Any]:
    least = min(blocks.values())
    return {
        "blocks": least,
        "warps": least * warps,
        "fraction": least * warps / most,
        "limited_by": sorted(name for name, value in blocks.items() if value == least),
        "blocks_by": dict(blocks),
    }


def occupancy(
    backend: str, hardware: Mapping[str, float], threads: int, registers: int, shared: int
) -> tuple[dict[str, Any] | None, list[str]]:
    """Occupancy of a kernel with `threads` a block, `registers` a thread and `shared` bytes a block.

    @returns the estimate, or None with the names of the limits that are not given.
    """
    lacking = [name for name in (NVIDIA if backend == "cuda" else AMD) if name not in hardware]
    if lacking or threads <= 0:
        return None, lacking
    given = {name: int(value) for name, value in hardware.items()}
    if backend == "cuda":
        most = given["warps_per_sm"]
        warps = _up(threads, given["warp_size"]) // given["warp_size"]
        blocks = {"warps": most // warps, "blocks": given["blocks_per_sm"]}
        if registers > 0:
            each = _up(registers * given["warp_size"], given["register_allocation_unit"])
            parts = max(1, given["schedulers_per_sm"])
            blocks["registers"] = (given["registers_per_sm"] // parts // each) * parts // warps
        taken = _up(shared + given["shared_memory_reserved_per_block"], given["shared_memory_allocation_unit"])
        if taken > 0:
            blocks["shared_memory"] = given["shared_memory_per_sm"] // taken
        return _answer(blocks, warps, most), []
    simds = given["simds_per_cu"]
    most = simds * given["waves_per_simd"]
    waves = _up(threads, given["wavefront_size"]) // given["wavefront_size"]
    blocks = {"waves": most // waves}
    if registers > 0:
        each = _up(registers, given["vgpr_granule"])
        blocks["registers"] = min(given["waves_per_simd"], given["vgprs_per_simd"] // each) * simds // waves
    if shared > 0:
        blocks["shared_memory"] = given["lds_per_cu"] // shared
    return _answer(blocks, waves, most), []
