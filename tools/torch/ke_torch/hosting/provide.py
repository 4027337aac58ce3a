"""Inputs made by the problem's own code, in the reference host: from a secret seed, with every generator set to it."""

from __future__ import annotations

import importlib
import inspect
import random
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


def provide_inputs(subject: Subject, request: dict[str, Any], device: torch.device) -> tuple[Any, dict[str, Any]]:
    """What the request's provider gives: `(args, kwargs)`, or a constructor's arguments; and what is to be told about it.

    On a device the problem's code draws there, where it can: gigabytes of numbers take the processor seconds.
    """
    if device.type != "cpu" and request["provider"] != "opinfo":
        try:
            with device:
                return _provide(subject, request)
        except (RuntimeError, TypeError, ValueError):
            pass
    return _provide(subject, request)


def _provide(subject: Subject, request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
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
        # Seconds to import: the warm process has it already where the problem is an operator.
        return importlib.import_module("ke_torch.hosting.opinfo").sample(**request["arguments"]), {}
    raise SubjectError(f"unknown provider {provider}")
