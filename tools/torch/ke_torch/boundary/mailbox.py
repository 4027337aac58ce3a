"""Tensors between processes in device memory: the judge owns a box per host and direction, the host opens it while it copies.

A box carries bytes and nothing else; whoever takes from it copies first and looks afterwards. A candidate's box is freed when its
host is gone, not before: it may still have it open. Trusted hosts open one only while they copy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch

from .wire import ALIGN, CODES, DTYPES, MAX_RANK, WireError

MAX_CARRIED = 2048
_HANDLE = 64


class DeviceFull(Exception):
    """The device has no room for what the judge holds of it; nobody's answer is to blame."""


class _Handle(ctypes.Structure):
    _fields_ = [("reserved", ctypes.c_char * _HANDLE)]


class _Raw:
    """Device memory by its address, for torch to look at."""

    def __init__(self, address: int, nbytes: int) -> None:
        self.__cuda_array_interface__ = {"shape": (nbytes,), "typestr": "|u1", "data": (address, False), "version": 3}


def _driver() -> ctypes.CDLL:
    library = ctypes.CDLL("libcuda.so.1")
    library.cuIpcOpenMemHandle_v2.argtypes = [ctypes.c_void_p, _Handle, ctypes.c_uint]
    library.cuMemFree_v2.argtypes = [ctypes.c_uint64]
    library.cuIpcCloseMemHandle.argtypes = [ctypes.c_uint64]
    return library


def _bytes(address: int, nbytes: int, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(_Raw(address, nbytes), device=device)


class Box:
    """The judge's: memory of its own that one host may open."""

    def __init__(self, nbytes: int, device: torch.device) -> None:
        self._cuda = _driver()
        self.nbytes = max(1 << 21, (nbytes + (1 << 21) - 1) >> 21 << 21)
        address, handle = ctypes.c_uint64(), ctypes.create_string_buffer(_HANDLE)
        self._device = device
        # Whatever thread this is: torch makes the device's context current in it.
        torch.cuda.synchronize(device)
        status = self._cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(self.nbytes))
        if status != 0:
            raise DeviceFull(f"no {self.nbytes} bytes of device memory for what passes between processes ({status})")
        self._address = address.value
        status = self._cuda.cuIpcGetMemHandle(handle, address)
        if status != 0:
            self.free()
            raise WireError(f"device memory cannot be shared between processes here ({status})")
        self.json = {"handle": handle.raw.hex(), "bytes": self.nbytes}
        self.data = _bytes(self._address, self.nbytes, device)

    def free(self) -> None:
        """Gives it back."""
        if self._address:
            torch.cuda.synchronize(self._device)
            self._cuda.cuMemFree_v2(self._address)
        self._address = 0


class Opened:
    """The host's view of a box."""

    def __init__(self, box: dict[str, Any], device: torch.device) -> None:
        self._cuda = _driver()
        handle = _Handle.from_buffer_copy(bytes.fromhex(box["handle"]))
        address = ctypes.c_uint64()
        status = self._cuda.cuIpcOpenMemHandle_v2(ctypes.byref(address), handle, 1)
        if status != 0:
            raise WireError(f"the judge's device memory does not open ({status})")
        self._address = address.value
        self.data = _bytes(self._address, int(box["bytes"]), device)

    def close(self) -> None:
        """Everything that was copied has to be done."""
        self._cuda.cuIpcCloseMemHandle(self._address)


def layout(tensors: Sequence[torch.Tensor]) -> tuple[list[int], int]:
    """Where each stands, and how many bytes all take."""
    at, places = 0, []
    for tensor in tensors:
        places.append(at)
        at += (tensor.numel() * tensor.element_size() + ALIGN - 1) // ALIGN * ALIGN
    return places, at


def put(data: torch.Tensor, tensors: Sequence[torch.Tensor], flags: Sequence[int] | None = None) -> list[list[Any]]:
    """Copies tensors into a box; answers what stands where: code of type, shape, place, flags."""
    places, _ = layout(tensors)
    records = []
    for k, (tensor, at) in enumerate(zip(tensors, places, strict=True)):
        if tensor.dtype not in CODES or tensor.dim() > MAX_RANK:
            raise WireError(f"{tensor.dtype} of {tensor.dim()} dimensions is not carried")
        nbytes = tensor.numel() * tensor.element_size()
        if nbytes:
            flat = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)
            data[at : at + nbytes].copy_(flat)
        records.append([CODES[tensor.dtype], list(tensor.shape), at, 0 if flags is None else flags[k]])
    return records


def take(data: torch.Tensor, record: Sequence[Any], own: bool = True) -> torch.Tensor:
    """One tensor of a box, as a copy; with `own` false a look at the box itself.

    @raises WireError where the record is not one, whoever wrote it.
    """
    try:
        code, shape, at = int(record[0]), [int(s) for s in record[1]], int(record[2])
    except (TypeError, ValueError, IndexError) as error:
        raise WireError("a tensor's record is not one") from error
    if code not in DTYPES or len(shape) > MAX_RANK or any(s < 0 for s in shape) or at < 0 or at % ALIGN:
        raise WireError("a tensor's record is not one")
    dtype, elements = DTYPES[code], 1
    for size in shape:
        elements *= size
    nbytes = elements * dtype.itemsize
    if at + nbytes > data.numel():
        raise WireError("a tensor's place is outside its box")
    if nbytes == 0:
        return torch.empty(shape, dtype=dtype, device=data.device)
    raw = data[at : at + nbytes]
    raw = raw.clone() if own else raw
    return (raw != 0).reshape(shape) if dtype == torch.bool else raw.view(dtype).reshape(shape)
