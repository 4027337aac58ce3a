"""From a kernel's parts to its event: files, resources, occupancy, what it exceeds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .job import TYPES, CompileJob
from .occupancy import occupancy
from .resources import Resources


def safe_name(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", name)[:80] or "kernel"


@dataclass
class Kernel:
    """One kernel as it comes out of a worker; its words are the worker's, its resources our own reading."""

    label: str
    header: dict[str, Any]
    parts: dict[str, bytes] = field(default_factory=dict)
    resources: Resources | None = None

    def number(self, name: str, default: int = 0) -> int:
        """A number of the header."""
        value = self.header.get(name, default)
        return int(value) if isinstance(value, (int, float)) else default


def write_parts(job: CompileJob, kernel: Kernel) -> list[dict[str, Any]]:
    """Writes the artifacts that are asked for, and answers them as an event has them."""
    job.folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in TYPES:
        if kind not in kernel.parts or kind not in job.artifacts:
            continue
        path = job.folder / f"{safe_name(kernel.label)}.{kind}"
        path.write_bytes(kernel.parts[kind])
        written.append({"type": kind, "path": str(path), "bytes": len(kernel.parts[kind])})
    return written


def figures(job: CompileJob, kernel: Kernel) -> dict[str, Any]:
    """Resources, occupancy, and which limits are exceeded."""
    resources = kernel.resources or Resources()
    static = resources.shared_static_bytes or 0
    # Triton's shared memory is dynamic: the compiler's metadata tell it, the binary shows little or none of it.
    shared = max(kernel.number("shared_bytes"), static)
    threads = kernel.number("threads") or kernel.number("num_warps") * job.arch.warp_size
    estimate, lacking = occupancy(job.arch.backend, job.hardware, threads, resources.registers or 0, shared)
    most = {
        "shared_memory": (shared, "shared_memory_per_block" if job.arch.backend == "cuda" else "lds_per_workgroup"),
        "threads": (threads, "threads_per_block" if job.arch.backend == "cuda" else "threads_per_workgroup"),
    }
    return {
        "threads": threads or None,
        "shared_bytes": shared,
        "resources": None if kernel.resources is None else resources.known(),
        "spills": bool((resources.spill_store_bytes or 0) + (resources.vector_spills or 0) + (resources.scalar_spills or 0))
        if kernel.resources is not None
        else None,
        "occupancy": estimate if kernel.resources is not None else None,
        "occupancy_needs": lacking,
        "exceeds": sorted(name for name, (value, limit) in most.items() if limit in job.hardware and value > job.hardware[limit]),
    }
