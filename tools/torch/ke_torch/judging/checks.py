"""What is wrong with an answer, beside what it should be: structure, type, place, aliases, inputs, patched functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..boundary import wire
from ..boundary.tree import outline
from .compare import shape_text
from .replies import Answer

_HINTS = (
    (wire.FLAG_SUBCLASS, "tensor_subclass", "the output is no plain torch.Tensor"),
    (wire.FLAG_NOT_A_VALUE, "tensor_subclass", "the output holds no values"),
    (wire.FLAG_OVERRIDDEN, "tensor_subclass", "attributes were set on the output tensor"),
    (wire.FLAG_WRONG_DEVICE, "wrong_device", "the output is on another device"),
    (wire.FLAG_NOT_STRIDED, "wrong_layout", "the output is not strided"),
)

# Bytes that are compared at once on a device: comparing makes as many answers.
_PART = 1 << 29


@dataclass(frozen=True)
class Fault:
    """A code with a sentence, and the output it is about."""

    code: str
    message: str
    output: int = 0


def shown(node: Any) -> str:
    """A structure from a host as text, whatever it is."""
    try:
        return outline(node)[:300]
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return "no structure"


def structure(got: Answer, want: Answer) -> Fault | None:
    """Shape, type, device, layout, and aliasing of inputs where the reference does not."""
    for k, record in enumerate(got.records):
        for bit, code, message in _HINTS:
            if record.flags & bit:
                return Fault(code, message, k)
    if shown(got.tree) != shown(want.tree) or len(got.tensors) != len(want.tensors):
        return Fault("wrong_structure", f"the answer is {shown(got.tree)}, expected {shown(want.tree)}")
    for k, (mine, theirs) in enumerate(zip(got.tensors, want.tensors, strict=True)):
        if mine.shape != theirs.shape:
            return Fault("wrong_shape", f"{shape_text(mine)}, expected {shape_text(theirs)}", k)
        if mine.dtype != theirs.dtype:
            return Fault("wrong_dtype", f"{shape_text(mine)}, expected {shape_text(theirs)}", k)
        bits = got.records[k].flags & ~want.records[k].flags
        if bits & wire.FLAG_SCALAR or want.records[k].flags & ~got.records[k].flags & wire.FLAG_SCALAR:
            return Fault("wrong_structure", "a number stands for a tensor, or a tensor for a number", k)
        if bits & wire.FLAG_ALIASES_INPUT:
            return Fault("aliases_input", "the output shares memory with an input or a weight", k)
    return None


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Bit for bit."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.device.type == "cpu":
        return bool(wire.as_bytes(a.contiguous()) == wire.as_bytes(b.contiguous()))
    pairs = zip(_bits(a).split(_PART), _bits(b).split(_PART), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.resolve_conj().contiguous().reshape(-1).view(torch.uint8)


def inputs_changed(after: Sequence[torch.Tensor], before: Sequence[torch.Tensor]) -> list[int]:
    """Which inputs are not what they were."""
    if len(after) != len(before):
        return [0]
    return [k for k, (a, b) in enumerate(zip(after, before, strict=True)) if not same(a, b)]


def deferred(got: Answer) -> Fault | None:
    """Whether an output changed after its call had returned."""
    for k in range(len(got.probes) // 2):
        at, seen = got.probes[2 * k], got.probes[2 * k + 1]
        if k >= len(got.tensors) or at.dtype != torch.int64 or seen.numel() != at.numel():
            return None
        flat = got.tensors[k].reshape(-1)
        if at.numel() == 0 or seen.dtype != flat.dtype:
            continue
        if bool((at < 0).any()) or bool((at >= flat.numel()).any()):
            return Fault("protocol_violation", "the places of a probe are outside the output", k)
        if not same(flat[at], seen):
            return Fault("deferred_work", "an output changed after the call had returned", k)
    return None


def conduct(got: Answer) -> list[Fault]:
    """What the host noticed about its own process: functions replaced, threads left running."""
    faults = []
    if got.patched:
        faults.append(Fault("patched_runtime", f"replaced: {', '.join(got.patched[:8])}"))
    if got.threads.get("python", 1) > 1:
        faults.append(Fault("extra_threads", f"{got.threads['python']} Python threads after the call"))
    return faults
