"""What a host runs: a module class, a function or an ATen overload, with its arguments and weights."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .device import CpuDevice, CudaDevice

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


class SubjectError(Exception):
    """The source is not what the format asks for."""


def load_files(folder: str, files: Sequence[tuple[str, bytes]]) -> None:
    """Writes the sources into the host's own folder, from which they are imported."""
    for name, data in files:
        path = os.path.normpath(os.path.join(folder, "src", name))
        if not path.startswith(os.path.join(folder, "src") + os.sep):
            raise SubjectError(f"the file name {name!r} leads out of the folder")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    root = os.path.join(folder, "src")
    if root not in sys.path:
        sys.path.insert(0, root)


def import_file(folder: str, name: str) -> Any:
    """Executes a source file as a module."""
    path = os.path.join(folder, "src", name)
    module_name = os.path.splitext(os.path.basename(name))[0].replace("-", "_")
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise SubjectError(f"{name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


def aten_overload(name: str) -> Any:
    """``add.Tensor`` (or ``aten.add.Tensor``) as the operator's overload."""
    packet, _, overload = name.removeprefix("aten.").partition(".")
    found = getattr(torch.ops.aten, packet, None)
    found = None if found is None else getattr(found, overload or "default", None)
    if found is None:
        raise SubjectError(f"there is no operator aten.{name}")
    return found


def cast(value: Any, dtype: torch.dtype) -> Any:
    """The value with its floating-point tensors (and dtype arguments) in another type."""
    if isinstance(value, torch.Tensor):
        if value.is_complex() and dtype == torch.float64:
            return value.to(torch.complex128)
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return [cast(v, dtype) for v in value] if isinstance(value, list) else tuple(cast(v, dtype) for v in value)
    if isinstance(value, dict):
        return {k: cast(v, dtype) for k, v in value.items()}
    if isinstance(value, torch.dtype) and value.is_floating_point:
        return dtype
    return value


class Subject:
    """One thing that can be called, as the job's ``subject`` describes it."""

    def __init__(self, spec: dict[str, Any], folder: str, device: CpuDevice | CudaDevice) -> None:
        self.spec, self.device = spec, device
        self.module: torch.nn.Module | None = None
        self.names: list[str] | None = spec.get("outputs")
        self._destinations: list[torch.Tensor] = []
        if spec["kind"] == "aten":
            self.source, self.entry = None, aten_overload(spec["entry"])
        else:
            self.source = import_file(folder, spec["file"])
            self.entry = getattr(self.source, spec["entry"], None)
            if self.entry is None:
                raise SubjectError(f"{spec['file']} defines no {spec['entry']}")
        self.function: Callable[..., Any] | None = None if spec["kind"] == "module" else self.entry

    def _make(self, arguments: Sequence[Any], seed: int, where: str) -> tuple[Any, str]:
        """The module, its weights drawn on the device where that works; and where they were."""
        if where != "cpu":
            torch.manual_seed(seed)
            try:
                with self.device.device:
                    return self.entry(*arguments), where
            except Exception:
                # Whatever it was, the processor's way decides, and its error is the one that is told.
                pass
        torch.manual_seed(seed)
        return self.entry(*arguments), "cpu"

    def build(self, arguments: Sequence[Any], seed: int, dtype: torch.dtype | None, wrap: str, where: str = "cpu") -> str:
        """Makes the module under a seed (functions need nothing), and wraps it where the baseline is a compiled one."""
        made_on = where
        if self.spec["kind"] == "module":
            made, made_on = self._make(arguments, seed, where)
            if not isinstance(made, torch.nn.Module):
                raise SubjectError(f"{self.spec['entry']} is no torch.nn.Module")
            self.module = made.to(self.device.device)
            if dtype is not None:
                self.module = self.module.to(dtype)
            self.function = self.module
        if wrap == "compile":
            mode = "max-autotune-no-cudagraphs" if self.device.kind == "cuda" else "default"
            self.function = torch.compile(self.function, mode=mode)
        return made_on

    def weights(self) -> list[tuple[str, torch.Tensor, bool]]:
        """Names and tensors of the state, and whether each is a parameter."""
        if self.module is None:
            return []
        parameters = {n for n, _ in self.module.named_parameters(remove_duplicate=False)}
        return [(n, t, n in parameters) for n, t in self.module.state_dict().items() if isinstance(t, torch.Tensor)]

    def load_weights(self, state: dict[str, torch.Tensor]) -> str:
        """Loads strictly; answers why that failed, or nothing."""
        if self.module is None:
            return "it is no module"
        own = {n: t.dtype for n, t in self.module.state_dict().items() if isinstance(t, torch.Tensor)}
        for name, tensor in state.items():
            if name in own and own[name] != tensor.dtype and own[name] not in FLOATS:
                return f"{name} has another type"
        try:
            self.module.load_state_dict(state, strict=True)
        except (RuntimeError, KeyError) as error:
            return str(error)[:500]
        return ""

    def prepare(self, pattern: float, destinations: Sequence[Any]) -> None:
        """Destinations of the coming call, poisoned, where the format passes them."""
        self._destinations = []
        for shape, name in destinations if self.spec.get("passing") else ():
            out = torch.empty(shape, dtype=getattr(torch, name), device=self.device.device)
            self._destinations.append(out.fill_(pattern) if out.is_floating_point() else out.fill_(85))

    def call(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """One forward call."""
        assert self.function is not None
        if self._destinations:
            self.function(*args, *self._destinations, **kwargs)
            return tuple(self._destinations)
        return self.function(*args, **kwargs)

    def normal(self, answer: Any) -> Any:
        """The answer in the definition's order, where it names its outputs."""
        if self.names is None:
            return answer
        if isinstance(answer, dict):
            return tuple(answer[name] for name in self.names)
        return tuple(answer) if isinstance(answer, (list, tuple)) else (answer,)

    def gradients(self, args: Sequence[Any], kwargs: dict[str, Any], cotangents: Sequence[torch.Tensor]) -> list[Any]:
        """One forward call and its backward: outputs, gradients of inputs, gradients of parameters by name."""
        leaves = [t for t in tensors_of((args, kwargs)) if t.is_floating_point() or t.is_complex()]
        fresh = {id(t): t.detach().requires_grad_(True) for t in leaves}
        answer = self.normal(self.call(substitute(args, fresh), substitute(kwargs, fresh)))
        outputs = [t for t in tensors_of(answer) if t.requires_grad]
        parameters = [] if self.module is None else [(n, p) for n, p in self.module.named_parameters() if p.requires_grad]
        wanted = [*fresh.values(), *(p for _, p in parameters)]
        if not outputs:
            return [answer, [None] * len(fresh), {n: None for n, _ in parameters}]
        given = [g for t, g in zip(tensors_of(answer), cotangents, strict=False) if t.requires_grad]
        got = torch.autograd.grad(outputs, wanted, given, allow_unused=True)
        named = {n: g for (n, _), g in zip(parameters, got[len(fresh) :], strict=True)}
        return [answer, list(got[: len(fresh)]), named]


def tensors_of(value: Any) -> list[torch.Tensor]:
    """All tensors in a value, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for v in value.values() for t in tensors_of(v)]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in tensors_of(v)]
    return []


def substitute(value: Any, by: dict[int, torch.Tensor]) -> Any:
    """The value with some tensors replaced, by their identity."""
    if isinstance(value, torch.Tensor):
        return by.get(id(value), value)
    if isinstance(value, dict):
        return {k: substitute(v, by) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [substitute(v, by) for v in value] if isinstance(value, list) else tuple(substitute(v, by) for v in value)
    return value
