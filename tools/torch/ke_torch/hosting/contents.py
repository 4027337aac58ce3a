"""The inputs of a host: a few draws on the device, and the live tensors whose contents are made of them before every call.

The live tensors stay where they are; they are written through a second tensor on the same storage, so that neither pointer nor
version counter tells. Every host makes the same contents of the same recipe, bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch

from .device import CpuDevice, CudaDevice

PATCHES = 64
_copy = torch.Tensor.copy_
_mul = torch.Tensor.mul_
_put = torch.Tensor.index_copy_
_reshape = torch.Tensor.reshape
_address = torch.Tensor.data_ptr


def alias_of(tensor: torch.Tensor) -> torch.Tensor:
    """Another tensor on the same storage, flat, with a version counter of its own."""
    with torch.no_grad():
        alias = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        return alias.set_(tensor.untyped_storage(), 0, (tensor.numel(),), (1,))  # type: ignore[call-overload]


def positions(key: int, tensor: int, elements: int) -> list[int]:
    """The places of a tensor that get other values at the last moment."""
    found: set[int] = set()
    block = b""
    for n in range(min(PATCHES, max(1, elements // 4))):
        if len(block) < 8:
            block = hashlib.blake2b(f"{key}/{tensor}/{n}".encode()).digest()
        found.add(int.from_bytes(block[:8], "little") % elements)
        block = block[8:]
    return sorted(found)


class Contents:
    """See the module."""

    def __init__(self, device: CpuDevice | CudaDevice) -> None:
        self.device = device
        self.draws: list[list[torch.Tensor]] = []
        self.live: list[torch.Tensor] = []
        self._alias: list[torch.Tensor] = []
        self.roles: list[dict[str, bool]] = []
        self._recipe: dict[str, Any] = {}
        self._tables: list[tuple[str, torch.Tensor, int, int]] = []

    def load(self, draws: Sequence[Sequence[torch.Tensor]], roles: Sequence[dict[str, bool]], lean: bool = False) -> None:
        """Takes new draws; the live tensors are kept where shapes and types are the same.

        `lean` keeps one draw in the live tensors only: what a call changes in them stays changed until the next `load`.
        """
        self.draws = [[self.device.put(t).contiguous() for t in draw] for draw in draws]
        self.roles = list(roles)
        first = self.draws[0]
        same = [(t.shape, t.dtype) for t in self.live] == [(t.shape, t.dtype) for t in first]
        if not same:
            self.live = list(first) if lean else [t.clone() for t in first]
            self._alias = [alias_of(t) for t in self.live]
        if same or not lean:
            self.apply({"draw": 0})
        if lean:
            self.draws = []
        elif self.device.queue is not None:
            self._tables = [self._table(k) for k in range(len(self.live))]

    def _table(self, k: int) -> tuple[str, torch.Tensor, int, int]:
        """What makes a tensor's contents by a key: elements of two draws, rows where rows mean something, or the whole tensor."""
        live, role = self.live[k], self.roles[k] if k < len(self.roles) else {}
        pointers = torch.tensor([draw[k].data_ptr() for draw in self.draws], dtype=torch.int64, device=live.device)
        group, salt = 1, k + 1
        if not role.get("mix"):
            group, salt = live.numel(), 0
        elif not role.get("scale"):
            group = live.shape[-1] if live.dim() > 1 else live.numel()
        return f"ke_mix{live.element_size()}", pointers, max(1, group), salt

    def detach(self) -> None:
        """The next contents stand in new tensors (after a call that changed more than contents)."""
        self.live = []

    def fill(self) -> None:
        """Enqueues contents that the device's key decides, every element of them."""
        queue = self.device.queue
        assert queue is not None
        for live, (name, pointers, group, salt) in zip(self.live, self._tables, strict=True):
            elements = live.numel()
            if elements > 0:
                blocks = min(2048, (elements + 255) // 256)
                place, table, key = _address(live), _address(pointers), _address(queue.key)
                queue.kernels.launch(name, blocks, 256, place, table, len(self.draws), key, salt, group, elements)

    def apply(self, recipe: dict[str, Any]) -> None:
        """Writes the contents: rows of one draw up to a cut, of another behind it, times a scale. `patch` makes `dense` ones."""
        self._recipe = recipe
        if recipe.get("dense") or not self.draws:
            return
        with torch.no_grad():
            for k, alias in enumerate(self._alias):
                role = self.roles[k] if k < len(self.roles) else {}
                one = self.draws[recipe["draw"]][k]
                _copy(alias, _reshape(one, -1))
                if role.get("mix") and "other" in recipe:
                    rows = max(1, alias.numel() // max(1, one.shape[-1])) if one.dim() > 1 else alias.numel()
                    cut = int(rows * recipe["cut"]) * (alias.numel() // rows if rows > 0 else 0)
                    _copy(alias[cut:], _reshape(self.draws[recipe["other"]][k], -1)[cut:])
                if role.get("scale") and "scale" in recipe:
                    _mul(alias, recipe["scale"])

    def patch(self, key: int) -> None:
        """Some elements from a third draw, at places that the key tells: the part of the contents that comes last."""
        recipe = self._recipe
        if recipe.get("dense") and self.device.queue is not None:
            self.device.queue.set_key(key)
            self.fill()
        if "patch" not in recipe:
            return
        with torch.no_grad():
            for k, alias in enumerate(self._alias):
                if not (self.roles[k].get("mix") and alias.numel() > 0):
                    continue
                at = torch.tensor(positions(key, k, alias.numel()), device=alias.device)
                values = _reshape(self.draws[recipe["patch"]][k], -1)[at]
                if self.roles[k].get("scale") and "scale" in recipe:
                    _mul(values, recipe["scale"])
                _put(alias, 0, at, values)
