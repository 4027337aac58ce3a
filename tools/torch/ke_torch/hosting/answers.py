"""What a host found in an answer, tensor by tensor: plain bytes for the judge, and hints about how the tensors were made."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..boundary import wire

_type, _isinstance, _id = type, isinstance, id
_contiguous = torch.Tensor.contiguous
_detach = torch.Tensor.detach
_to = torch.Tensor.to
_storage = torch.Tensor.untyped_storage
_pointer = torch.UntypedStorage.data_ptr
_CPU = torch.device("cpu")
_empty, _urandom = torch.empty, os.urandom


def pointer(tensor: torch.Tensor) -> int:
    """Where its storage stands; 0 for none."""
    try:
        return int(_pointer(_storage(tensor)))
    except (RuntimeError, NotImplementedError):
        return 0


def flags_of(tensor: torch.Tensor, device: str, inputs: set[int], earlier: set[int]) -> int:
    """What is unusual about it."""
    flags = 0
    if _type(tensor) is torch.nn.Parameter:
        flags |= wire.FLAG_PARAMETER
    elif _type(tensor) is not torch.Tensor:
        flags |= wire.FLAG_SUBCLASS
    if _isinstance(getattr(tensor, "__dict__", None), dict) and tensor.__dict__:
        flags |= wire.FLAG_OVERRIDDEN
    if tensor.device.type != device:
        flags |= wire.FLAG_WRONG_DEVICE
    if tensor.layout is not torch.strided:
        flags |= wire.FLAG_NOT_STRIDED
        return flags
    place = pointer(tensor)
    if place != 0 and place in inputs:
        flags |= wire.FLAG_ALIASES_INPUT
    if place != 0 and place in earlier:
        flags |= wire.FLAG_BUFFER_REUSED
    return flags


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Its values on the CPU, by functions taken before candidate code was loaded."""
    with torch.no_grad():
        found = _detach(tensor)
        if _type(found) is not torch.Tensor:
            found = found.as_subclass(torch.Tensor)
        if found.device != _CPU:
            found = _to(found, _CPU)
        return _contiguous(found.resolve_conj().resolve_neg())


def settled(tensor: torch.Tensor) -> torch.Tensor:
    """Its values where they are, by the same functions."""
    with torch.no_grad():
        found = _detach(tensor)
        if _type(found) is not torch.Tensor:
            found = found.as_subclass(torch.Tensor)
        return found.resolve_conj().resolve_neg()


def probe(value: Any, most: int = 4) -> list[torch.Tensor]:
    """Some values of the first outputs at places drawn now, as they are the moment a call has returned: place, then value."""
    found: list[torch.Tensor] = []
    for tensor in _first_tensors(value, most):
        if _type(tensor) is not torch.Tensor or tensor.layout is not torch.strided or tensor.is_meta or tensor.numel() == 0:
            found += [_empty(0, dtype=torch.int64), _empty(0)]
            continue
        with torch.no_grad():
            at = _randint(tensor.numel())
            places = [torch.tensor(k) for k in _unravel(at, tensor.shape)]
            values = _detach(tensor)[tuple(p.to(tensor.device) for p in places)] if places else _detach(tensor).reshape(1)
            found += [torch.tensor(at, dtype=torch.int64), plain(values)]
    return found


def _randint(elements: int) -> list[int]:
    data = _urandom(8 * 32)
    return [int.from_bytes(data[8 * k : 8 * k + 8], "little") % elements for k in range(32)]


def _unravel(at: list[int], shape: Sequence[int]) -> list[list[int]]:
    rest, parts = list(at), []
    for size in reversed(shape):
        parts.append([k % size for k in rest])
        rest = [k // size for k in rest]
    return parts[::-1]


def _first_tensors(value: Any, most: int) -> list[torch.Tensor]:
    if _isinstance(value, torch.Tensor):
        return [value]
    if _isinstance(value, dict):
        value = list(value.values())
    if not _isinstance(value, (list, tuple)):
        return []
    found: list[torch.Tensor] = []
    for item in value[:most]:
        found += _first_tensors(item, most)
    return found[:most]


def places(tensors: Sequence[torch.Tensor]) -> set[int]:
    """Where the storages of tensors stand."""
    return {pointer(t) for t in tensors} - {0}


class Flattened:
    """An answer's structure with its tensors, numbers among them as tensors without dimensions."""

    def __init__(
        self, device: str, inputs: set[int], earlier: set[int], copy: Callable[[int, torch.Tensor], torch.Tensor] | None = None
    ) -> None:
        self.device, self.earlier, self.inputs = device, earlier, inputs
        self.copy = copy or (lambda _, tensor: plain(tensor))
        self.tensors: list[torch.Tensor] = []
        self.flags: list[int] = []
        self.pointers: set[int] = set()

    def add(self, value: Any, depth: int = 0) -> Any:
        """The value's structure."""
        if depth > 16:
            return {"s": "nested too deep"}
        if _isinstance(value, torch.Tensor):
            flags = flags_of(value, self.device, self.inputs, self.earlier)
            if flags & (wire.FLAG_NOT_STRIDED | wire.FLAG_SUBCLASS) or value.is_meta:
                self._keep(torch.zeros(0), flags | wire.FLAG_NOT_A_VALUE)
            else:
                self.pointers.add(pointer(value))
                self._keep(self.copy(len(self.tensors), value), flags)
            return {"t": len(self.tensors) - 1}
        if value is None:
            return {"n": 0}
        if _isinstance(value, (bool, int, float, complex)):
            kind = torch.bool if _isinstance(value, bool) else None
            kind = kind or (
                torch.int64 if _isinstance(value, int) else torch.complex128 if _isinstance(value, complex) else torch.float64
            )
            self._keep(torch.tensor(value, dtype=kind), wire.FLAG_SCALAR)
            return {"t": len(self.tensors) - 1}
        if _isinstance(value, (list, tuple)):
            return {"u": [self.add(v, depth + 1) for v in value]}
        if _isinstance(value, dict):
            return {"d": [[str(k), self.add(v, depth + 1)] for k, v in value.items()]}
        return {"s": f"a value of type {_type(value).__name__}"}

    def _keep(self, tensor: torch.Tensor, flags: int) -> None:
        self.tensors.append(tensor)
        self.flags.append(flags)
