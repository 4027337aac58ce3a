"""Inputs made by the problem's own code, in the reference host: from a secret seed, with every generator set to it."""

from __future__ import annotations

import importlib
import inspect
import random
import sys
import types
import unittest
from collections.abc import Iterator
from typing import Any

import numpy
import torch

from .subject import Subject, SubjectError


def seed_all(seed: int) -> None:
    """Every generator that a problem may draw from."""
    torch.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed % (1 << 32))


def _function(subject: Subject, name: str) -> Any:
    found = getattr(subject.source, name, None)
    if not callable(found):
        raise SubjectError(f"the problem defines no {name}")
    return found


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def opinfo_database() -> Any:
    """PyTorch's database of operators.

    It imports the test runner's `expecttest` for a base class of test cases, which nothing here uses; where that is not
    installed, a module with an empty class of that name stands in for it.
    """
    if "expecttest" not in sys.modules:
        try:
            importlib.import_module("expecttest")
        except ImportError:
            module = types.ModuleType("expecttest")
            module.TestCase = type("TestCase", (unittest.TestCase,), {})  # type: ignore[attr-defined]
            sys.modules["expecttest"] = module
    return importlib.import_module("torch.testing._internal.common_methods_invocations").op_db


def aten_of(info: Any) -> str:
    """The operator's name in `torch.ops.aten`, or nothing."""
    name = info.aten_name or info.name.replace(".", "_")
    return name if hasattr(torch.ops.aten, name) else ""


def opinfo_samples(overload: str, dtype: torch.dtype, device: str) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Arguments of an overload, from the samples of the operator's entries whose values its schema takes."""
    packet, _, name = overload.removeprefix("aten.").partition(".")
    target = getattr(getattr(torch.ops.aten, packet), name or "default")
    for info in opinfo_database():
        if aten_of(info) != packet or dtype not in info.supported_dtypes(device):
            continue
        for sample in info.sample_inputs(device, dtype, requires_grad=False):
            args, kwargs = [sample.input, *sample.args], dict(sample.kwargs)
            try:
                target(*args, **kwargs)
            except Exception:
                # Samples of a family of overloads: those that this overload's schema does not take are another's.
                continue
            yield args, kwargs


def _opinfo(request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    dtype = getattr(torch, request["dtype"])
    wanted, last = request["index"], None
    for k, sample in enumerate(opinfo_samples(request["overload"], dtype, "cpu")):
        last = k
        if k == wanted:
            return sample, {"samples": None}
    return None, {"samples": 0 if last is None else last + 1}


def provide_inputs(subject: Subject, request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What the request's provider gives: `(args, kwargs)`, or a constructor's arguments; and what is to be told about it."""
    provider = request["provider"]
    seed_all(request["seed"])
    if provider == "get_inputs":
        return (_listed(_function(subject, "get_inputs")()), {}), {}
    if provider == "get_init_inputs":
        found = _function(subject, "get_init_inputs")()
        return _listed(found), {}
    if provider == "generate_input":
        function = _function(subject, "generate_input")
        given = dict(request["arguments"])
        if "seed" in inspect.signature(function).parameters:
            given["seed"] = request["seed"]
        return ([function(**given)], {}), {}
    if provider == "opinfo":
        return _opinfo(request)
    raise SubjectError(f"unknown provider {provider}")
