"""Tensors as raw bytes in memory files: a fixed header, then the bytes. Nothing here is ever unpickled or evaluated.

Layout, little endian: ``magic[8] version:u32 count:u32 total:u64``, then one record a tensor
``dtype:u32 rank:u32 shape:8*i64 offset:u64 bytes:u64 flags:u64``, then the data, each tensor at a multiple of 256.
Files are read with ``pread``: one that is cut short under the reader is an error there, never a fault.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import torch

MAGIC = b"KETENSOR"
VERSION = 1
MAX_RANK = 8
MAX_TENSORS = 4096
ALIGN = 256
_HEAD = struct.Struct("<8sIIQ")
_RECORD = struct.Struct("<II8qQQQ")
_CHUNK = 1 << 30

_NAMES = [
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
    "complex128",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "complex32",
    "uint16",
    "uint32",
    "uint64",
]
DTYPES: dict[int, torch.dtype] = {k: getattr(torch, n) for k, n in enumerate(_NAMES) if hasattr(torch, n)}
CODES: dict[torch.dtype, int] = {d: k for k, d in DTYPES.items()}
BY_NAME: dict[str, torch.dtype] = {_NAMES[k]: d for k, d in DTYPES.items()}

# What a host says about a tensor it answers; hints, but for those that only hurt the host.
FLAG_SUBCLASS = 1
FLAG_ALIASES_INPUT = 2
FLAG_WRONG_DEVICE = 4
FLAG_NOT_STRIDED = 8
FLAG_OVERRIDDEN = 16
FLAG_SCALAR = 32
FLAG_BUFFER_REUSED = 64
FLAG_PARAMETER = 128
FLAG_NOT_A_VALUE = 256


class WireError(Exception):
    """The bytes are not what this format allows."""


@dataclass(frozen=True)
class Record:
    """One tensor as its header describes it."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    flags: int


def dtype_name(dtype: torch.dtype) -> str:
    """``float32`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")


def as_bytes(tensor: torch.Tensor) -> memoryview:
    """The bytes of a contiguous CPU tensor, without a copy."""
    flat = tensor.detach().reshape(-1)
    if flat.is_complex():
        flat = torch.view_as_real(flat.resolve_conj()).reshape(-1)
    if flat.numel() == 0:
        return memoryview(b"")
    return flat.view(torch.uint8).numpy().data


def _write(fd: int, data: memoryview | bytes, at: int) -> None:
    view = memoryview(data).cast("B")
    while view:
        done = os.pwrite(fd, view[:_CHUNK], at)
        view, at = view[done:], at + done


def _read(fd: int, into: memoryview, at: int) -> None:
    while into:
        done = os.preadv(fd, [into[:_CHUNK]], at)
        if done == 0:
            raise WireError("the tensors end early")
        into, at = into[done:], at + done


def write_tensors(fd: int, tensors: Sequence[torch.Tensor], flags: Sequence[int] | None = None) -> int:
    """Replaces the file's contents by these tensors (on the CPU) and answers how many bytes they took."""
    if len(tensors) > MAX_TENSORS:
        raise WireError(f"more than {MAX_TENSORS} tensors")
    at = _HEAD.size + _RECORD.size * len(tensors)
    records, places = [], []
    for k, tensor in enumerate(tensors):
        if tensor.dim() > MAX_RANK:
            raise WireError(f"a tensor of {tensor.dim()} dimensions; at most {MAX_RANK} are carried")
        if tensor.dtype not in CODES:
            raise WireError(f"{tensor.dtype} is not carried")
        at = (at + ALIGN - 1) // ALIGN * ALIGN
        nbytes = tensor.numel() * tensor.element_size()
        shape = (*tensor.shape, *([0] * (MAX_RANK - tensor.dim())))
        records.append(_RECORD.pack(CODES[tensor.dtype], tensor.dim(), *shape, at, nbytes, 0 if flags is None else flags[k]))
        places.append(at)
        at += nbytes
    os.ftruncate(fd, at)
    _write(fd, _HEAD.pack(MAGIC, VERSION, len(tensors), at) + b"".join(records), 0)
    for tensor, place in zip(tensors, places, strict=True):
        _write(fd, as_bytes(tensor.contiguous()), place)
    return at


def read_records(fd: int) -> list[Record]:
    """The header, checked against itself and the file's size."""
    size = os.fstat(fd).st_size
    head = bytearray(_HEAD.size)
    _read(fd, memoryview(head), 0)
    magic, version, count, total = _HEAD.unpack(head)
    if magic != MAGIC or version != VERSION or count > MAX_TENSORS or total > size:
        raise WireError("the tensors' header is not one")
    table = bytearray(_RECORD.size * count)
    _read(fd, memoryview(table), _HEAD.size)
    records = []
    for k in range(count):
        code, rank, *rest = _RECORD.unpack_from(table, k * _RECORD.size)
        shape, (offset, nbytes, flags) = rest[:MAX_RANK], rest[MAX_RANK:]
        if code not in DTYPES or rank > MAX_RANK:
            raise WireError("a tensor's header is not one")
        dtype, dims = DTYPES[code], tuple(shape[:rank])
        elements = 1
        for dim in dims:
            if dim < 0:
                raise WireError("a tensor of negative size")
            elements *= dim
        if elements * dtype.itemsize != nbytes or offset + nbytes > total:
            raise WireError("a tensor's size is not that of its shape")
        records.append(Record(dtype, dims, offset, nbytes, flags))
    return records


def read_tensor(fd: int, record: Record) -> torch.Tensor:
    """A private copy of one tensor."""
    buffer = torch.empty(record.nbytes, dtype=torch.uint8)
    if record.nbytes > 0:
        _read(fd, buffer.numpy().data, record.offset)
    if record.nbytes == 0:
        return torch.empty(record.shape, dtype=record.dtype)
    if record.dtype.is_complex:
        part = {torch.complex64: torch.float32, torch.complex128: torch.float64}.get(record.dtype, torch.float16)
        return torch.view_as_complex(buffer.view(part).reshape(*record.shape, 2))
    return buffer.view(record.dtype).reshape(record.shape)


def read_tensors(fd: int, limit: int | None = None) -> tuple[list[Record], list[torch.Tensor]]:
    """Header and private copies of all tensors; an error where they are larger than `limit` bytes together."""
    records = read_records(fd)
    if limit is not None and sum(r.nbytes for r in records) > limit:
        raise WireError(f"more than {limit} bytes of tensors")
    return records, [read_tensor(fd, record) for record in records]
