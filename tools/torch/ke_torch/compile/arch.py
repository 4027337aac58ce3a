"""Names of architectures, and what each compiler is to be told for them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NVIDIA = re.compile(r"sm_(\d{2,3})([af]?)")
_AMD = re.compile(r"gfx[0-9a-f]{3,5}")


class ArchError(ValueError):
    """No architecture of that name."""


@dataclass(frozen=True)
class Arch:
    """One architecture: `name` as the job has it, `backend` and `number` as Triton's ``GPUTarget`` takes them."""

    name: str
    backend: str
    number: int | str
    warp_size: int

    @property
    def assembler_name(self) -> str:
        """The name for ptxas and nvcc: from 9.0 on with the features of that one architecture, as Triton compiles."""
        found = _NVIDIA.fullmatch(self.name)
        if found is None or found[2] or int(found[1]) < 90:
            return self.name
        return f"{self.name}a"

    @property
    def capability(self) -> tuple[int, int]:
        """Compute capability; (9, 4) and the like for AMD, as torch answers there."""
        digits = str(self.number) if self.backend == "cuda" else str(self.number)[3:5]
        return (int(digits[:-1]), int(digits[-1])) if digits.isdigit() else (0, 0)


def parse_arch(name: str) -> Arch:
    """``sm_90``, ``sm_90a``, ``gfx942`` …

    @raises ArchError
    """
    found = _NVIDIA.fullmatch(name)
    if found is not None:
        return Arch(name, "cuda", int(found[1]), 32)
    if _AMD.fullmatch(name):
        # GCN and CDNA have wavefronts of 64; Triton compiles for RDNA with 32.
        return Arch(name, "hip", name, 64 if name.startswith("gfx9") else 32)
    raise ArchError(f"arch is sm_NN (sm_80, sm_90, sm_100, …) or gfxNNN (gfx942, gfx950, …), not {name[:40]!r}")
