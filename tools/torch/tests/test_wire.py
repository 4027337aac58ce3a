import os
import struct
from collections.abc import Iterator

import pytest
import torch

from ke_torch.boundary import wire
from ke_torch.boundary.tree import TreeError, decode, encode, outline


@pytest.fixture
def memory() -> Iterator[int]:
    fd = os.memfd_create("test")
    yield fd
    os.close(fd)


@pytest.mark.parametrize("dtype", [d for d in wire.CODES if d != torch.complex32], ids=wire.dtype_name)
def test_every_type_comes_back_bit_for_bit(memory: int, dtype: torch.dtype) -> None:
    tensors = [torch.arange(24).reshape(2, 3, 4).to(dtype), torch.ones((), dtype=dtype), torch.empty((0, 5), dtype=dtype)]
    wire.write_tensors(memory, tensors, [1, 2, 3])
    records, found = wire.read_tensors(memory)
    assert [r.flags for r in records] == [1, 2, 3]
    for a, b in zip(tensors, found, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert bytes(wire.as_bytes(a)) == bytes(wire.as_bytes(b))


def test_not_contiguous_tensors_are_carried(memory: int) -> None:
    wire.write_tensors(memory, [torch.arange(6.0).reshape(2, 3).t()])
    assert torch.equal(wire.read_tensors(memory)[1][0], torch.arange(6.0).reshape(2, 3).t())


def damaged(memory: int, at: int, data: bytes) -> None:
    wire.write_tensors(memory, [torch.ones(4)])
    os.pwrite(memory, data, at)
    with pytest.raises(wire.WireError):
        wire.read_tensors(memory)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (0, b"X"),
        (8, struct.pack("<I", 2)),
        (12, struct.pack("<I", 1 << 30)),
        (16, struct.pack("<Q", 1 << 50)),
        (24, struct.pack("<I", 999)),
        (28, struct.pack("<I", 9)),
        (32, struct.pack("<q", -4)),
        (32, struct.pack("<q", 1 << 40)),
        (96, struct.pack("<Q", 1 << 60)),
        (104, struct.pack("<Q", 17)),
    ],
)
def test_a_damaged_header_is_an_error(memory: int, at: int, data: bytes) -> None:
    damaged(memory, at, data)


def test_a_file_cut_short_is_an_error(memory: int) -> None:
    wire.write_tensors(memory, [torch.ones(4)])
    os.ftruncate(memory, 140)
    with pytest.raises(wire.WireError):
        wire.read_tensors(memory)


def test_more_than_the_limit_is_not_read(memory: int) -> None:
    wire.write_tensors(memory, [torch.ones(1000)])
    with pytest.raises(wire.WireError):
        wire.read_tensors(memory, 3999)


def test_structures_come_back() -> None:
    tensors: list[torch.Tensor] = []
    value = (
        [torch.ones(2), 3, 0.1, True, None, "s", (1, [torch.zeros(1)])],
        {"k": torch.float16, "m": torch.channels_last, "c": 1 + 2j},
    )
    tree = encode(value, tensors)
    found = decode(tree, tensors)
    assert len(tensors) == 2
    assert found[0][1:6] == [3, 0.1, True, None, "s"] and found[0][6][0] == 1
    assert found[1]["k"] is torch.float16 and found[1]["c"] == 1 + 2j
    assert outline({"l": [{"t": 0}]}) == outline({"u": [{"t": 5}]}) == "(t)"


def test_objects_are_not_carried() -> None:
    with pytest.raises(TreeError):
        encode(object(), [])
    with pytest.raises(TreeError):
        decode({"python": "os.system('true')"}, [])
