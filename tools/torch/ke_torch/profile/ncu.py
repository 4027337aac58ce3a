"""Nsight Compute: the metrics that decide, the command line, and what its log says when it does not work."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .preflight import HOW_COUNTERS

_PEAK = "avg.pct_of_peak_sustained_elapsed"
_ACTIVE = "avg.pct_of_peak_sustained_active"
_STALLED = "smsp__average_warps_issue_stalled_{}_per_issue_active.ratio"
# Throughputs against the peaks, bytes moved, occupancy and what bounds it, what warps wait for.
METRICS = (
    "gpu__time_duration.sum",
    f"sm__throughput.{_PEAK}",
    f"gpu__compute_memory_throughput.{_PEAK}",
    f"gpu__dram_throughput.{_PEAK}",
    f"lts__t_sectors.{_PEAK}",
    f"sm__inst_executed_pipe_tensor.{_PEAK}",
    "dram__bytes_read.sum",
    "dram__bytes_write.sum",
    "lts__t_sector_hit_rate.pct",
    "l1tex__t_sector_hit_rate.pct",
    f"sm__warps_active.{_ACTIVE}",
    "sm__maximum_warps_per_active_cycle_pct",
    "launch__registers_per_thread",
    "launch__waves_per_multiprocessor",
    "launch__occupancy_limit_registers",
    "launch__occupancy_limit_shared_mem",
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum",
    "l1tex__data_pipe_lsu_wavefronts_mem_shared.sum",
    "smsp__thread_inst_executed_per_inst_executed.ratio",
    _STALLED.format("long_scoreboard"),
    _STALLED.format("barrier"),
)
# Kernels of one call that are looked at: each is replayed many times.
MOST_KERNELS = 40


def command(ncu: str, log: str, metrics: Sequence[str], cold: bool) -> list[str]:
    """Its arguments before the program's own. Clocks are left alone: figures are of the clocks that were timed."""
    return [
        ncu, "--csv", "--page", "raw", "--print-units", "base", "--log-file", log, "--force-overwrite",
        "--clock-control", "none", "--cache-control", "all" if cold else "none", "--profile-from-start", "off",
        "--launch-count", str(MOST_KERNELS), "--metrics", ",".join(metrics),
    ]  # fmt: skip


_UNKNOWN = re.compile(r"(?:[Ff]ailed to find metric|[Uu]nknown metric|[Ii]nvalid metric(?: name)?)[:\s]+(?:regex:)?[\"']?([\w.]+)")


def unknown_metrics(text: str, metrics: Sequence[str]) -> list[str]:
    """Metrics that this device or version does not have, by its log."""
    named = set(_UNKNOWN.findall(text))
    return [metric for metric in metrics if metric in named]


def trouble(text: str) -> tuple[str, str | None] | None:
    """Why it measured nothing and what helps, by its log; None where the log speaks of nothing."""
    if "ERR_NVGPUCTRPERM" in text:
        return "the driver does not let this user read hardware counters (ERR_NVGPUCTRPERM)", HOW_COUNTERS
    for line in text.splitlines():
        if "Failed to initialize the profiler" in line or "LibraryNotLoaded" in line:
            said = line.replace("==ERROR==", "").strip()[:200]
            return (
                f"ncu cannot start its profiler here: {said}",
                "the driver's own libraries are needed; a container has to show them",
            )
        if "ERR_NVGPU_RESOURCE_UNAVAILABLE" in line or "resource is unavailable" in line.lower():
            return "another program counts on this device (DCGM or another profiler)", "stop it, e.g. `dcgmi profile --pause`"
    if "No kernels were profiled" in text:
        return "the call launched no kernel that ncu saw", None
    errors = [line.replace("==ERROR==", "").strip() for line in text.splitlines() if line.startswith("==ERROR==")]
    return (f"ncu: {' '.join(errors)[:400]}", None) if errors else None


__all__ = ["MOST_KERNELS", "METRICS", "command", "trouble", "unknown_metrics"]
