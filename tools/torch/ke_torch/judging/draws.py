"""Inputs in the judge's memory: drawn from secret seeds, classified, and changed in ways that candidates do not see coming."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..boundary.tree import encode
from ..boundary.wire import BY_NAME
from ..formats import FormatError, TensorSpec, Workload

REAL = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_SAMPLE = 1 << 16


@dataclass
class Draw:
    """Arguments as a structure with its tensors."""

    tree: Any
    tensors: list[torch.Tensor]


@dataclass(frozen=True)
class Role:
    """What may be done to a tensor: rows mixed between draws, values scaled and shifted."""

    mix: bool
    scale: bool

    def to_json(self) -> dict[str, bool]:
        """As a host reads it."""
        return {"mix": self.mix, "scale": self.scale}


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    flat = tensor.reshape(-1)
    return flat[:: max(1, flat.numel() // _SAMPLE)].to(torch.float64)


def role_of(tensor: torch.Tensor) -> Role:
    """Labels, one-hot rows and the like are structure; free real numbers may be changed."""
    if tensor.dtype not in REAL or tensor.numel() == 0:
        return Role(mix=tensor.dtype in REAL, scale=False)
    some = _sample(tensor)
    if some.numel() > 8 and torch.equal(some, some.round()) and some.unique().numel() <= 16:
        return Role(mix=True, scale=False)
    if tensor.dim() > 1 and tensor.shape[-1] > 1 and float(some.min()) >= 0:
        rows = tensor.reshape(-1, tensor.shape[-1])[:256].to(torch.float64).sum(-1)
        if bool(((rows - 1).abs() < 1e-2).all()):
            return Role(mix=True, scale=False)
    return Role(mix=True, scale=True)


def _zero_kept(tensor: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Changes values, but leaves zeros where they are many: masks and triangles stay what they are."""
    changed = change(tensor)
    if tensor.numel() > 0 and float((_sample(tensor) == 0).double().mean()) > 0.1:
        return torch.where(tensor == 0, tensor, changed)
    return changed


def _huge(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    out = tensor.contiguous().clone()
    flat = out.view(-1)
    half = flat.numel() // 2
    at = half + int(torch.randint(max(1, flat.numel() - half), (1,), generator=generator, device=generator.device))
    spread = float(_sample(tensor).std(unbiased=False)) or 1.0
    flat[at] = 1000 * spread if tensor.dtype != torch.float16 else 100 * spread
    return out


TRANSFORMS: tuple[str, ...] = ("times 3", "times 0.01", "times -1", "plus an offset", "one huge value")


def transform(draw: Draw, roles: list[Role], name: str, generator: torch.Generator) -> Draw:
    """The draw with a change applied to every tensor that may be changed."""
    factor = {"times 3": 3.0, "times 0.01": 0.01, "times -1": -1.0}.get(name)
    out = []
    for tensor, role in zip(draw.tensors, roles, strict=True):
        if not role.scale:
            out.append(tensor)
        elif factor is not None:
            out.append(tensor * factor)
        elif name == "plus an offset":
            step = 2 * (float(_sample(tensor).std(unbiased=False)) or 1.0)
            out.append(_zero_kept(tensor, lambda t, s=step: t + s))  # type: ignore[misc]
        else:
            out.append(_huge(tensor, generator))
    return Draw(draw.tree, out)


def _safetensor(path: str, key: str) -> torch.Tensor:
    data = Path(path).read_bytes()
    head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    entry = head[key]
    names = {
        "F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32", "I16": "int16",
        "I8": "int8", "U8": "uint8", "BOOL": "bool", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    }  # fmt: skip
    start = 8 + int.from_bytes(data[:8], "little")
    low, high = entry["data_offsets"]
    raw = torch.frombuffer(bytearray(data[start + low : start + high]), dtype=torch.uint8)
    return raw.view(BY_NAME[names[entry["dtype"]]]).reshape(entry["shape"])


def make_tensor(spec: TensorSpec, generator: torch.Generator) -> torch.Tensor:
    """One described input: normal values whose rows have means and scales of their own, small integers, booleans."""
    dtype = BY_NAME[spec.dtype]
    if spec.path is not None:
        return _safetensor(spec.path, str(spec.key))
    if spec.value is not None:
        return torch.full(spec.shape, spec.value, dtype=dtype)
    if dtype == torch.bool:
        return torch.rand(spec.shape, generator=generator) < 0.5
    if not (dtype.is_floating_point or dtype.is_complex):
        return torch.randint(0, 8, spec.shape, generator=generator).to(dtype)
    rows = (*spec.shape[:-1], 1) if spec.shape else ()
    mean = torch.rand(rows, generator=generator) - 0.5
    scale = torch.rand(rows, generator=generator) + 0.5
    return (torch.randn(spec.shape, generator=generator) * scale + mean).to(dtype)


def describe_draw(workload: Workload, seed: int) -> Draw:
    """The inputs of a workload that the judge makes itself."""
    generator = torch.Generator().manual_seed(seed)
    tensors = [make_tensor(spec, generator) for spec in workload.tensors]
    if workload.tree is not None:
        return Draw(workload.tree, tensors)
    values = [t.item() if s.scalar else t for t, s in zip(tensors, workload.tensors, strict=True)]
    kept: list[torch.Tensor] = []
    return Draw(encode((values, {}), kept), kept)


def cast_draw(draw: Draw, dtype: str | None) -> Draw:
    """Real tensors in the job's type, where it names one."""
    if dtype is None:
        return draw
    if dtype not in BY_NAME:
        raise FormatError(f"unknown dtype {dtype}")
    wanted = BY_NAME[dtype]
    return Draw(draw.tree, [t.to(wanted) if t.dtype in REAL else t for t in draw.tensors])


def change_weights(state: list[torch.Tensor], parameters: list[bool], generator: torch.Generator) -> list[torch.Tensor]:
    """Other weights of the same kind: every parameter scaled and moved, so that ones are no ones and zeros no zeros."""
    out = []
    for tensor, parameter in zip(state, parameters, strict=True):
        if not parameter or tensor.dtype not in REAL or tensor.numel() == 0:
            out.append(tensor)
            continue
        spread = float(_sample(tensor).abs().mean()) or 0.5
        place = generator.device
        noise = torch.randn(tensor.shape, generator=generator, device=place).to(tensor)
        factor = (torch.rand(tensor.shape, generator=generator, device=place) + 0.5).to(tensor)
        out.append(tensor * factor + noise * (0.2 * spread))
    return out
