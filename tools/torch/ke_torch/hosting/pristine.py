"""Is a host that served a trusted subject as a new one would be? Starting a process with a device's context costs tenths of a
second; one that nothing is left in can serve the next problem. Whatever differs, or cannot be told, means a new process.
"""

from __future__ import annotations

import gc
import importlib
import linecache
import os
import resource
import shutil
import sys
import threading
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch

from .device import CpuDevice, CudaDevice, precision_flags
from .integrity import Watch

# Workspaces that the device's libraries keep, bytes; and the share of its processor time after which a host is worn.
SLACK, WORN = 96 << 20, 0.25
_MODULES = ("torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.cuda", "torch.autograd", "torch.backends.cudnn")
_CLASSES = (torch.Tensor, torch.nn.Module, torch.nn.Parameter)
_HOOKS = (
    "_global_backward_hooks", "_global_backward_pre_hooks", "_global_forward_hooks", "_global_forward_pre_hooks",
    "_global_module_registration_hooks", "_global_parameter_registration_hooks", "_global_buffer_registration_hooks",
)  # fmt: skip


def _settings() -> dict[str, Any]:
    """What a problem's code may set for all that comes after it."""
    sdp = torch.backends.cuda
    return {
        **precision_flags(),
        "default type": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": (torch.is_autocast_enabled("cuda"), torch.is_autocast_enabled("cpu")),
        "anomalies": torch.is_anomaly_enabled(),
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic),
        "reduced precision": (
            torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction,
            torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
        ),
        "attention": (
            sdp.flash_sdp_enabled(), sdp.mem_efficient_sdp_enabled(), sdp.math_sdp_enabled(), sdp.cudnn_sdp_enabled(),
        ),
        "environment": dict(os.environ),
        "path": list(sys.path),
        "folder": os.getcwd(),
        "threads of Python": threading.active_count(),
        "trace": (sys.gettrace(), sys.getprofile()),
        "hooks": [len(getattr(torch.nn.modules.module, name, ())) for name in _HOOKS],
        "modes": (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()),
    }  # fmt: skip


def _functions() -> dict[str, tuple[object, str, object]]:
    """Functions and classes of the modules that problems use; a module may gain others."""
    found: dict[str, tuple[object, str, object]] = {}
    for name in _MODULES:
        module = importlib.import_module(name)
        for key, value in list(vars(module).items()):
            if isinstance(value, (FunctionType, BuiltinFunctionType, type)):
                found[f"{name}.{key}"] = (module, key, value)
    for owner in _CLASSES:
        for key, value in list(vars(owner).items()):
            found[f"{owner.__name__}.{key}"] = (owner, key, value)
    return found


def _added(functions: dict[str, tuple[object, str, object]]) -> list[str]:
    """What these classes have gained: an attribute may hide an inherited one."""
    return [name for owner in _CLASSES for key in vars(owner) if (name := f"{owner.__name__}.{key}") not in functions]


class Pristine:
    """A record of what was there; make it before a subject is loaded."""

    def __init__(self, device: CpuDevice | CudaDevice, watch: Watch, folder: str) -> None:
        self.device, self.watch, self.source = device, watch, os.path.join(folder, "src")
        self.settings, self.functions = _settings(), _functions()
        self.allocated = self._memory()

    def _memory(self) -> int:
        if self.device.kind != "cuda":
            return 0
        return int(torch.cuda.memory_allocated(self.device.device)) - self.device.held()

    def clean(self) -> None:
        """Removes the subject's modules, files and what is kept of them; its objects have to be let go of before."""
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and path.startswith(self.source + os.sep):
                del sys.modules[name]
        while self.source in sys.path:
            sys.path.remove(self.source)
        shutil.rmtree(self.source, ignore_errors=True)
        linecache.clearcache()
        importlib.invalidate_caches()
        gc.collect()
        if self.device.kind == "cuda":
            self.device.synchronize()
            torch._C._cuda_clearCublasWorkspaces()
            torch.cuda.empty_cache()

    def differences(self) -> list[str]:
        """What is not as it was, after `clean`; nothing means that the process can be used again."""
        now = _settings()
        found = [name for name, value in self.settings.items() if now[name] != value]
        found += [p for p, (owner, key, value) in self.functions.items() if vars(owner).get(key) is not value]
        found += _added(self.functions)
        found += self.watch.changed()
        if os.path.exists(self.source):
            found.append("files")
        if self._memory() > self.allocated + SLACK:
            found.append("device memory")
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = resource.getrlimit(resource.RLIMIT_CPU)[0]
        if limit != resource.RLIM_INFINITY and used.ru_utime + used.ru_stime > WORN * limit:
            found.append("processor time")
        return found
