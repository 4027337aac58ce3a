"""What one untimed call dispatched and launched: operators by the profiler, kernels on the device, Triton launches."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch._C._profiler import _ExperimentalConfig
from torch.autograd import ProfilerConfig, ProfilerState
from torch.autograd import _disable_profiler_legacy as _disable
from torch.autograd import _enable_profiler_legacy as _enable

from .device import CpuDevice, CudaDevice

# Operators that make, view, move or describe tensors: no answer is computed by them alone.
PLUMBING = frozenset(
    """empty empty_strided empty_like view reshape as_strided expand permute transpose t select slice unsqueeze squeeze detach alias
    resize_ set_ to _to_copy contiguous item _local_scalar_dense is_nonzero numpy_T resolve_conj resolve_neg lift_fresh unbind split
    split_with_sizes chunk narrow flatten unflatten expand_as view_as _unsafe_view _reshape_alias ones zeros full zero_ fill_ copy_
    clone zeros_like ones_like full_like result_type numel size stride new_empty new_zeros new_ones new_empty_strided scalar_tensor
    movedim swapaxes mT""".split()  # noqa: SIM905
)
VENDOR = (
    "cublas",
    "cudnn",
    "cutlass",
    "ampere_",
    "sm80_",
    "sm90_",
    "gemm",
    "cub::",
    "at::native",
    "void at::",
    "nvjet",
    "xmma",
    "flash",
)
_TRANSFERS = ("memcpy", "memset")


def _count_triton(counts: dict[str, int]) -> Callable[[], None]:
    """Counts launches through Triton's interpreter; answers what puts things back. On a device the profiler sees them."""
    if "triton" not in sys.modules:
        return lambda: None
    try:
        executor = importlib.import_module("triton.runtime.interpreter").GridExecutor
    except (ImportError, AttributeError):
        return lambda: None
    original = executor.__call__

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        name = getattr(getattr(self, "fn", None), "__name__", "kernel")
        counts[name] = counts.get(name, 0) + 1
        return original(self, *args, **kwargs)

    executor.__call__ = counting

    def restore() -> None:
        executor.__call__ = original

    return restore


def _kernels(events: Any) -> dict[str, dict[str, float]]:
    kernels: dict[str, dict[str, float]] = {}
    for event in events:
        if str(getattr(event, "device_type", "")).endswith("CUDA"):
            entry = kernels.setdefault(str(event.name)[:200], {"count": 0, "us": 0.0})
            entry["count"] += 1
            entry["us"] += float(getattr(event, "device_time_total", 0) or getattr(event, "device_time", 0) or 0)
    return kernels


def classify(ops: dict[str, int], kernels: dict[str, dict[str, float]], triton: dict[str, int]) -> dict[str, Any]:
    """Whose work it was: the candidate's own kernels, libraries through torch, or both."""
    compute = {n: c for n, c in ops.items() if n.startswith("aten::") and n[6:] not in PLUMBING}
    custom = [n for n in ops if "::" in n and n.split("::")[0] not in ("aten", "prims", "profiler", "cudaLaunchKernel")]
    own = [k for k in kernels if not any(v in k.lower() for v in (*VENDOR, *_TRANSFERS))]
    busy = sum(k["us"] for n, k in kernels.items() if not n.lower().startswith(_TRANSFERS))
    own_us = sum(kernels[k]["us"] for k in own)
    if kernels:
        whose = "own" if own and own_us > 0.9 * busy else "mixed" if own else "torch"
    else:
        mine = bool(triton or custom)
        whose = "mixed" if mine and compute else "own" if mine else "torch" if compute else "python"
    return {
        "work": whose,
        "own_kernels": sorted({*own, *triton, *custom})[:64],
        "torch_operators": dict(sorted(compute.items(), key=lambda item: -item[1])[:64]),
        "share_own": own_us / busy if busy > 0 else None,
    }


def _dispatched(call: Callable[[], Any]) -> dict[str, int]:
    """Operators by the dispatcher's own record; takes no imports and no system calls, as the full profiler does."""
    _enable(ProfilerConfig(ProfilerState.CPU, False, False, False, False, False, _ExperimentalConfig()))
    try:
        call()
    finally:
        record = _disable()
    ops: dict[str, int] = {}
    for event in (event for thread in record for event in thread):
        if event.kind() == "push" and "::" in event.name():
            ops[event.name()] = ops.get(event.name(), 0) + 1
    return ops


def _profiled(call: Callable[[], Any], device: CudaDevice) -> tuple[dict[str, int], dict[str, dict[str, float]]]:
    # The profiler underneath torch.profiler, which would import the compiler's nine hundred modules first.
    with torch.autograd.profiler.profile(use_device="cuda", use_kineto=True, acc_events=True) as recorded:
        call()
        device.synchronize()
    events = recorded.function_events or ()
    ops: dict[str, int] = {}
    for event in events:
        if str(getattr(event, "device_type", "")).endswith("CPU") and "::" in event.name:
            ops[event.name] = ops.get(event.name, 0) + 1
    return ops, _kernels(events)


def record_dispatch(call: Callable[[], Any], device: CpuDevice | CudaDevice) -> dict[str, Any]:
    """One call: on a device under the profiler, on the processor by the dispatcher's record (no kernels are launched there)."""
    triton: dict[str, int] = {}
    restore = _count_triton(triton)
    try:
        if isinstance(device, CudaDevice):
            ops, kernels = _profiled(call, device)
        else:
            ops, kernels = _dispatched(call), {}
    finally:
        restore()
    top = dict(sorted(kernels.items(), key=lambda item: -item[1]["us"])[:64])
    return {**classify(ops, kernels, triton), "kernels": top, "triton_launches": triton}
