"""Is an answer right? In the judge's memory, from raw bytes, against the float64 oracle and beside the baseline's own error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..boundary.wire import dtype_name

# Relative to each element, and to the root mean square of the answer. bf16 and tf32 arithmetic fail on float32.
TOLERANCE: dict[torch.dtype, tuple[float, float]] = {
    torch.float64: (1e-9, 1e-9), torch.complex128: (1e-9, 1e-9),
    torch.float32: (1e-4, 1e-4), torch.complex64: (1e-4, 1e-4),
    torch.float16: (2e-3, 2e-3), torch.complex32: (2e-3, 2e-3),
    torch.bfloat16: (1.6e-2, 1e-2),
    torch.float8_e4m3fn: (0.125, 0.05), torch.float8_e5m2: (0.25, 0.1),
}  # fmt: skip
_BLOCK, _DEVICE_BLOCK = 1 << 22, 1 << 26


@dataclass
class Difference:
    """The first wrong element, and how wrong all are; `code` is empty when nothing is."""

    code: str = ""
    output: int = 0
    index: int = 0
    got: float | None = None
    expected: float | None = None
    wrong: int = 0
    elements: int = 0
    worst: float = 0.0
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the answer is right."""
        return self.code == ""


def tolerance_of(dtype: torch.dtype, rtol: float | None, atol: float | None) -> tuple[float, float]:
    """The job's own, or that of the type."""
    a, b = TOLERANCE.get(dtype, (0.0, 0.0))
    return (a if rtol is None else rtol), (b if atol is None else atol)


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.reshape(-1)


def _block(tensor: torch.Tensor) -> int:
    return _BLOCK if tensor.device.type == "cpu" else _DEVICE_BLOCK


def _rms(want: torch.Tensor) -> float:
    total, count = 0.0, 0
    for part in want.split(_block(want)):
        wide = part.double()
        wide = wide[torch.isfinite(wide)]
        total += float((wide * wide).sum())
        count += wide.numel()
    return math.sqrt(total / count) if count else 0.0


def _first(mask: torch.Tensor) -> int:
    return int(mask.to(torch.uint8).argmax())


def _float_kinds(d: Difference, want: torch.Tensor, also: torch.Tensor | None, got: torch.Tensor, base: int) -> torch.Tensor:
    """NaN and infinities in the same places (or where the baseline has them too); answers which elements are numbers."""
    nan_wrong = torch.isnan(want) != torch.isnan(got)
    inf_wrong = torch.isinf(want) | torch.isinf(got)
    inf_wrong &= ~((want == got) | torch.isnan(want) | torch.isnan(got))
    if also is not None:
        same = (torch.isnan(also) & torch.isnan(got)) | (torch.isinf(also) & (also == got))
        nan_wrong &= ~same
        inf_wrong &= ~same
    for mask, code in ((nan_wrong, "nan_mismatch"), (inf_wrong, "infinity_mismatch")):
        bad = int(mask.sum())
        if bad:
            if d.ok:
                at = _first(mask)
                d.code, d.index, d.got, d.expected = code, base + at, float(got[at]), float(want[at])
            d.wrong += bad
    return torch.isfinite(want) & torch.isfinite(got)


def compare_one(
    want: torch.Tensor, also: torch.Tensor | None, got: torch.Tensor, tolerance: tuple[float, float], allowed: float
) -> Difference:
    """One output: `want` is the oracle's, `also` the baseline's (right too where it differs in kind), of `got`'s shape."""
    d = Difference(elements=got.numel())
    if got.numel() == 0:
        return d
    flat_want, flat_got = _flat(want), _flat(got)
    flat_also = None if also is None else _flat(also)
    if not (flat_got.dtype.is_floating_point or got.is_complex()):
        wrong = flat_want.to(flat_got.dtype) != flat_got
        if flat_also is not None:
            wrong &= flat_also != flat_got
        d.wrong = int(wrong.sum())
        if d.wrong:
            d.index = _first(wrong)
            d.code, d.got, d.expected, d.worst = (
                "value_mismatch",
                float(flat_got[d.index]),
                float(flat_want[d.index]),
                math.inf,
            )
        return d
    rtol, slack = tolerance[0], tolerance[1] * _rms(flat_want) + 1e-300
    size = _block(flat_got)
    for base in range(0, flat_got.numel(), size):
        a, b = flat_want[base : base + size].double(), flat_got[base : base + size].double()
        c = None if flat_also is None else flat_also[base : base + size].double()
        number = _float_kinds(d, a, c, b, base)
        over = torch.where(number, (b - a).abs() / (rtol * a.abs() + slack), 0.0)
        d.worst = max(d.worst, float(over.max()))
        wrong = over > allowed
        bad = int(wrong.sum())
        if bad and d.ok:
            at = _first(wrong)
            d.code, d.index, d.got, d.expected = "value_mismatch", base + at, float(b[at]), float(a[at])
        d.wrong += bad
    return d


def compare(
    want: Sequence[torch.Tensor],
    also: Sequence[torch.Tensor] | None,
    got: Sequence[torch.Tensor],
    dtypes: Sequence[torch.dtype],
    rtol: float | None,
    atol: float | None,
    allowed: float,
) -> Difference:
    """All outputs; the first difference found, the worst error of all."""
    found = Difference()
    for k, (one, answer, dtype) in enumerate(zip(want, got, dtypes, strict=True)):
        d = compare_one(one, None if also is None else also[k], answer, tolerance_of(dtype, rtol, atol), allowed)
        d.output = k
        worst = max(found.worst, d.worst)
        if found.ok and not d.ok:
            found = d
        found.worst = worst
    return found


def shape_text(tensor: torch.Tensor) -> str:
    """``float32[2, 3]``."""
    return f"{dtype_name(tensor.dtype)}{list(tensor.shape)}"
