"""In the candidate's host: a CUDA or C++ candidate's shared object as what its problem's format calls.

The function `run` takes, in this order, as many as it declares of: the call's arguments, the problem's weights and buffers in the
order of its state, the constructor's arguments. README.md ("CUDA and C++ candidates") is the contract.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

SPACE, ENTRY = "candidate", "run"


def load(path: str) -> tuple[Callable[..., Any], int]:
    """The function as a torch operator, and how many arguments it declares."""
    torch.ops.load_library(path)
    operator = getattr(getattr(torch.ops, SPACE), ENTRY)
    return operator, len(operator.default._schema.arguments)


def beside(file: str) -> str:
    """The shared object beside the file that loads it."""
    return os.path.join(os.path.dirname(os.path.abspath(file)), "candidate.so")


def call_with(operator: Callable[..., Any], count: int, values: Sequence[Any]) -> Any:
    """Calls it with the first `count` of the values."""
    if count > len(values):
        raise TypeError(
            f"run takes {count} arguments; this problem gives {len(values)} (arguments, weights, constructor's arguments)"
        )
    return operator(*values[:count])


def module_class(file: str) -> type[torch.nn.Module]:
    """The module of a KernelBench candidate: it takes any state, and gives it to the function."""
    operator, count = load(beside(file))

    class ModelNew(torch.nn.Module):
        """The problem's module, answered by the function."""

        def __init__(self, *given: Any) -> None:
            super().__init__()
            self.given = given
            self.order: list[str] = []
            self.values: list[torch.Tensor] = []

        def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
            """The first time makes what is named; later the same memory gets the new values."""
            if not self.order:
                for name, tensor in state_dict.items():
                    self._place(name, tensor)
                self.order = list(state_dict)
                found = self.state_dict(keep_vars=True)
                self.values = [found[name] for name in self.order]
                return None
            return super().load_state_dict(state_dict, strict=strict, assign=assign)

        def _place(self, name: str, tensor: torch.Tensor) -> None:
            *folders, last = name.split(".")
            at: torch.nn.Module = self
            for folder in folders:
                if folder not in at._modules:
                    at.add_module(folder, torch.nn.Module())
                at = at.get_submodule(folder)
            if tensor.is_floating_point() or tensor.is_complex():
                at.register_parameter(last, torch.nn.Parameter(tensor.detach().clone()))
            else:
                at.register_buffer(last, tensor.detach().clone())

        def forward(self, *inputs: Any) -> Any:
            """One call."""
            return call_with(operator, count, (*inputs, *self.values, *self.given))

    return ModelNew


def function(file: str, overload: str | None = None) -> Callable[..., Any]:
    """The function of any other candidate; of an ATen overload with all of its arguments in their order, defaults filled in."""
    operator, count = load(beside(file))
    names: list[tuple[str, Any]] = []
    if overload is not None:
        packet, _, kind = overload.partition(".")
        schema = getattr(getattr(torch.ops.aten, packet), kind or "default")._schema
        names = [(a.name, a.default_value) for a in schema.arguments]

    def call(*args: Any, **kwargs: Any) -> Any:
        """One call."""
        rest = [kwargs.get(name, default) for name, default in names[len(args) :]]
        return call_with(operator, count, (*args, *rest))

    return call


def unpacked(file: str) -> Callable[[Any], Any]:
    """The function of a kernelbot submission: the parts of its data as arguments."""
    operator, count = load(beside(file))

    def call(data: Any) -> Any:
        """One call."""
        return call_with(operator, count, tuple(data) if isinstance(data, (list, tuple)) else (data,))

    return call
