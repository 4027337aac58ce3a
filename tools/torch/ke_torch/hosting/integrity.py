"""Whether functions that candidates like to replace are still the ones that were there before candidate code was loaded.

Evidence, not defence: nothing that a host says decides anything, but an honest candidate has no reason to replace them.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import types

_WATCHED = {
    "time": ("time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "sleep"),
    "torch": (
        "allclose", "equal", "isclose", "empty", "empty_like", "zeros", "zeros_like", "full", "manual_seed", "set_num_threads",
        "get_num_threads", "from_numpy", "frombuffer",
    ),
    "torch.testing": ("assert_close",),
    "torch.Tensor": (
        "copy_", "clone", "contiguous", "cpu", "to", "data_ptr", "untyped_storage", "numpy", "view", "reshape", "equal",
        "allclose", "__eq__", "set_", "fill_", "zero_", "detach", "__torch_function__",
    ),
    "torch.autograd": ("grad",),
    "torch.cuda": ("synchronize", "Event", "Stream", "current_stream", "is_available"),
    "torch.cuda.Event": ("record", "elapsed_time", "synchronize"),
    "torch.nn.Module": ("__call__", "load_state_dict", "state_dict", "_call_impl", "to"),
    "torch.profiler": ("profile",),
    "numpy": ("allclose", "array_equal", "isclose"),
    "os": ("pwrite", "preadv", "ftruncate", "_exit", "dup2"),
    "json": ("dumps", "loads"),
    "builtins": ("isinstance", "type", "id", "len", "abs", "open", "__import__"),
}  # fmt: skip


def _owner(path: str) -> object | None:
    parts = path.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:k]))
        except ImportError:
            continue
        for name in parts[k:]:
            found = getattr(found, name, None)
        return found
    return None


def _own_modules() -> list[types.ModuleType]:
    return [m for n, m in list(sys.modules.items()) if n.startswith("ke_torch") and isinstance(m, types.ModuleType)]


class Watch:
    """A record of what was there; make it before candidate code is loaded."""

    def __init__(self) -> None:
        self._static = inspect.getattr_static
        self._seen: dict[str, tuple[object, str, object]] = {}
        for path, names in _WATCHED.items():
            owner = _owner(path)
            for name in names if owner is not None else ():
                value = self._static(owner, name, None)
                if value is not None:
                    self._seen[f"{path}.{name}"] = (owner, name, value)
        # Our own functions by their code, too: replacing the code object leaves the function the same.
        self._code: dict[str, tuple[types.FunctionType, types.CodeType]] = {}
        for module in _own_modules():
            for name, value in list(vars(module).items()):
                if isinstance(value, types.FunctionType):
                    self._watch_function(module, f"{module.__name__}.{name}", name, value)
                elif isinstance(value, type) and value.__module__ == module.__name__:
                    for inner, method in list(vars(value).items()):
                        if isinstance(method, types.FunctionType):
                            self._watch_function(value, f"{module.__name__}.{name}.{inner}", inner, method)

    def _watch_function(self, owner: object, path: str, name: str, function: types.FunctionType) -> None:
        self._seen[path] = (owner, name, function)
        self._code[path] = (function, function.__code__)

    def changed(self) -> list[str]:
        """Names of what is no longer what it was."""
        found = [p for p, (owner, name, value) in self._seen.items() if self._static(owner, name, None) is not value]
        found += [p for p, (function, code) in self._code.items() if function.__code__ is not code and p not in found]
        return sorted(found)
