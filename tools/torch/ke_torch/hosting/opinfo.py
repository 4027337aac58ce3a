"""Arguments for ATen operators from PyTorch's own database. Imported in the reference's warm process only: it takes seconds."""

from __future__ import annotations

import importlib
import sys
import types
import unittest
from collections.abc import Iterator
from typing import Any

import torch

Arguments = tuple[list[Any], dict[str, Any]]


def _database() -> Any:
    """PyTorch's database of operators.

    It imports the test runner's `expecttest` for a base class of test cases, which nothing here uses; where that is not
    installed, a module with an empty class of that name stands in for it.
    """
    try:
        importlib.import_module("expecttest")
    except ImportError:
        module = types.ModuleType("expecttest")
        module.TestCase = type("TestCase", (unittest.TestCase,), {})  # type: ignore[attr-defined]
        sys.modules["expecttest"] = module
    return importlib.import_module("torch.testing._internal.common_methods_invocations").op_db


DATABASE = _database()


def operator_of(info: Any) -> str:
    """The entry's operator in `torch.ops.aten`, or nothing."""
    name = info.aten_name or info.name.replace(".", "_")
    return name if hasattr(torch.ops.aten, name) else ""


def samples(overload: str, dtype: torch.dtype, device: str = "cpu") -> Iterator[Arguments]:
    """Arguments of an overload: those samples of the operator's entries that its schema takes."""
    packet, _, name = overload.removeprefix("aten.").partition(".")
    target = getattr(getattr(torch.ops.aten, packet), name or "default")
    for info in DATABASE:
        if operator_of(info) != packet or dtype not in info.supported_dtypes(device):
            continue
        for found in info.sample_inputs(device, dtype, requires_grad=False):
            args, kwargs = [found.input, *found.args], dict(found.kwargs)
            try:
                target(*args, **kwargs)
            except Exception:
                # Another overload's sample.
                continue
            yield args, kwargs


def sample(overload: str, dtype: str, index: int) -> Arguments | None:
    """One of them; None where there are fewer."""
    for k, found in enumerate(samples(overload, getattr(torch, dtype))):
        if k == index:
            return found
    return None


def overloads(dtype: torch.dtype) -> tuple[list[str], dict[str, str]]:
    """Every overload that has a sample of this type, and why the others have none."""
    found: list[str] = []
    skipped: dict[str, str] = {}
    for packet in sorted({operator_of(info) for info in DATABASE} - {""}):
        for name in getattr(torch.ops.aten, packet).overloads():
            full = packet if name == "default" else f"{packet}.{name}"
            schema = getattr(getattr(torch.ops.aten, packet), name)._schema
            carried = any("Tensor" in str(a.type) for a in schema.arguments) and any(
                "Tensor" in str(r.type) for r in schema.returns
            )
            if not carried:
                skipped[full] = "numbers only"
            elif schema.is_mutable:
                skipped[full] = "writes to its arguments"
            elif any(word in full for word in ("rand", "bernoulli", "dropout", "multinomial", "normal", "empty", "new_")):
                skipped[full] = "random, or makes tensors without values"
            elif next(samples(full, dtype), None) is None:
                skipped[full] = "no sample that it takes"
            else:
                found.append(full)
    return found, skipped
