"""A device that is not there: candidate code runs on tensors without contents, and is told that they are on a GPU.

Within torch every tensor is one of the CPU (torch without CUDA refuses others), fake ones by default: shapes, strides and types, no
memory and no arithmetic. Code outside torch that asks is told ``cuda:0``. Figures of the device are the job's ``hardware``.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode

from .arch import Arch

# Allocators of devices hand out addresses with more alignment than Triton looks for.
BASE = 0x7F00_0000_0000
_CPU, _GPU = torch.device("cpu"), torch.device("cuda", 0)
_OURS = ("torch", __name__)


class PretendedDevice:
    """What `Subject` asks of a device."""

    kind = "cpu"
    device = _CPU


def _outside() -> bool:
    """Whether the code that asks is neither torch's nor ours."""
    frame = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__", "")) == __name__:
        frame = frame.f_back  # type: ignore[assignment]
    name = "" if frame is None else str(frame.f_globals.get("__name__", ""))
    return name.split(".")[0] not in _OURS and name not in _OURS


def _here(value: Any) -> Any:
    if isinstance(value, torch.device):
        return _CPU if value.type == "cuda" else value
    if isinstance(value, str) and (value == "cuda" or value.startswith("cuda:")):
        return "cpu"
    return value


_TENSOR: Any = torch.Tensor
_GETTERS: dict[Any, Any] = {_TENSOR.is_cuda.__get__: True, _TENSOR.is_cpu.__get__: False, _TENSOR.device.__get__: _GPU}


class OnePlace(TorchFunctionMode):
    """Every mention of the GPU becomes the CPU on the way into torch, and back on the way out."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """One call of torch."""
        if func in _GETTERS and _outside():
            return _GETTERS[func]
        if func is torch.Tensor.cuda:
            return args[0]
        if func is torch.Tensor.get_device and _outside():
            return 0
        if func is torch.Tensor.pin_memory:
            return args[0]
        return func(*[_here(a) for a in args], **{k: _here(v) for k, v in (kwargs or {}).items() if k != "pin_memory"})


def _properties(arch: Arch, hardware: Mapping[str, float]) -> types.SimpleNamespace:
    def given(*names: str, default: int = 0) -> int:
        return next((int(hardware[n]) for n in names if n in hardware), default)

    major, minor = arch.capability
    return types.SimpleNamespace(
        name=arch.name, major=major, minor=minor, multi_processor_count=given("sms", "cus", "compute_units", default=1),
        warp_size=arch.warp_size, total_memory=given("memory", default=80 << 30), gcnArchName=arch.name,
        max_threads_per_multi_processor=given("threads_per_sm", default=2048),
        regs_per_multiprocessor=given("registers_per_sm", default=65536),
        shared_memory_per_multiprocessor=given("shared_memory_per_sm", "lds_per_cu", default=65536),
        shared_memory_per_block=given("static_shared_memory_per_block", "lds_per_workgroup", default=49152),
        shared_memory_per_block_optin=given("shared_memory_per_block", "lds_per_workgroup", default=65536),
        L2_cache_size=given("l2", default=0),
    )  # fmt: skip


def _always(answer: Any) -> Any:
    return lambda *args, **kwargs: answer


class _Nothing:
    """A stream or an event: everything that one does with it is done already."""

    cuda_stream = 0
    device_index = 0
    device = _GPU

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *args: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None


class _Any(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, torch._C.Generator)


class _Generator(metaclass=_Any):
    """``torch.Generator`` of whatever device is one of the CPU."""

    def __new__(cls, device: Any = "cpu") -> Any:
        return torch._C.Generator("cpu")


def _apply(self: Any, fn: Any, recurse: bool = True) -> Any:
    """``Module._apply`` for parameters that cannot be swapped in place."""
    if recurse:
        for child in self.children():
            child._apply(fn)
    for name, value in self._parameters.items():
        if value is not None:
            with torch.no_grad():
                self._parameters[name] = torch.nn.Parameter(fn(value), value.requires_grad)
    for name, value in self._buffers.items():
        if value is not None:
            self._buffers[name] = fn(value)
    return self


def pretend_cuda(arch: Arch, hardware: Mapping[str, float]) -> types.SimpleNamespace:
    """Has ``torch.cuda`` answer for the device that is compiled for. For good: this process does nothing else.

    @returns the device's properties.
    """
    properties = _properties(arch, hardware)
    cuda: Any = torch.cuda
    answers: dict[str, Any] = {
        "is_available": True, "is_initialized": True, "device_count": 1, "current_device": 0, "set_device": None, "init": None,
        "get_device_properties": properties, "get_device_capability": arch.capability, "get_device_name": arch.name,
        "synchronize": None, "empty_cache": None, "_lazy_init": None, "is_bf16_supported": True, "memory_allocated": 0,
        "mem_get_info": (properties.total_memory, properties.total_memory), "is_current_stream_capturing": False,
    }  # fmt: skip
    for name, answer in answers.items():
        setattr(cuda, name, _always(answer))
    for name in ("current_stream", "default_stream", "stream", "device", "device_of"):
        setattr(cuda, name, _Nothing)
    cuda.Stream = cuda.Event = _Nothing
    torch.Generator = _Generator  # type: ignore[misc]
    fake: Any = FakeTensor
    device, is_cuda, is_cpu = fake.device, fake.is_cuda, fake.is_cpu
    fake.device = property(lambda self: _GPU if _outside() else device.fget(self))
    fake.is_cuda = property(lambda self: True if _outside() else is_cuda.__get__(self))
    fake.is_cpu = property(lambda self: False if _outside() else is_cpu.__get__(self))
    fake.data_ptr = lambda self: BASE + self.storage_offset() * self.element_size()
    fake.get_device = lambda self: 0
    torch.nn.Module._apply = _apply  # type: ignore[method-assign]
    return properties


@contextlib.contextmanager
def tensors_without_contents() -> Iterator[FakeTensorMode]:
    """Within, whatever torch makes has no contents, and the GPU is there."""
    with OnePlace(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode


@contextlib.contextmanager
def tensors_with_contents() -> Iterator[None]:
    """Within, torch computes, and the GPU is there; what a kernel would have written stays as it was."""
    with OnePlace():
        yield
