"""Arguments and answers as JSON in which tensors are numbers: what crosses the boundary beside raw bytes."""

from __future__ import annotations

from typing import Any

import torch

from .wire import BY_NAME, dtype_name

Json = Any
MAX_DEPTH = 16
_MEMORY = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
    "preserve": torch.preserve_format,
}


class TreeError(Exception):
    """A value that is not carried."""


def encode(value: object, tensors: list[torch.Tensor], depth: int = 0) -> Json:
    """The structure of `value`; its tensors are appended to `tensors`."""
    if depth > MAX_DEPTH:
        raise TreeError("nested too deep")
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"t": len(tensors) - 1}
    if value is None:
        return {"n": 0}
    if isinstance(value, bool):
        return {"b": value}
    if isinstance(value, int):
        return {"i": str(int(value))}
    if isinstance(value, float):
        return {"f": value.hex()}
    if isinstance(value, complex):
        return {"c": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, str):
        return {"s": value}
    if isinstance(value, (list, tuple)):
        return {"l" if isinstance(value, list) else "u": [encode(v, tensors, depth + 1) for v in value]}
    if isinstance(value, dict):
        if not all(isinstance(k, str) for k in value):
            raise TreeError("a dictionary whose keys are not strings")
        return {"d": [[k, encode(v, tensors, depth + 1)] for k, v in value.items()]}
    if isinstance(value, torch.dtype):
        return {"dtype": dtype_name(value)}
    if isinstance(value, torch.device):
        return {"device": value.type}
    if isinstance(value, torch.memory_format):
        return {"memory": next((k for k, m in _MEMORY.items() if m == value), "preserve")}
    if isinstance(value, torch.layout):
        if value is not torch.strided:
            raise TreeError(f"layout {value}")
        return {"layout": "strided"}
    raise TreeError(f"a value of type {type(value).__name__}")


def decode(node: Json, tensors: list[torch.Tensor], device: str = "cpu", depth: int = 0) -> Any:
    """The value that a structure describes.

    @raises TreeError when it describes none.
    """
    if not isinstance(node, dict) or len(node) != 1 or depth > MAX_DEPTH:
        raise TreeError("not a structure")
    ((kind, body),) = node.items()
    if kind == "t":
        return tensors[int(body)]
    if kind in ("l", "u"):
        values = [decode(v, tensors, device, depth + 1) for v in body]
        return values if kind == "l" else tuple(values)
    if kind == "d":
        return {str(k): decode(v, tensors, device, depth + 1) for k, v in body}
    simple = {
        "n": lambda: None,
        "b": lambda: bool(body),
        "i": lambda: int(body),
        "f": lambda: float.fromhex(body),
        "c": lambda: complex(float.fromhex(body[0]), float.fromhex(body[1])),
        "s": lambda: str(body),
        "dtype": lambda: BY_NAME[body],
        "device": lambda: torch.device(device),
        "memory": lambda: _MEMORY[body],
        "layout": lambda: torch.strided,
    }
    if kind not in simple:
        raise TreeError(f"unknown kind {kind}")
    return simple[kind]()


def outline(node: Json) -> str:
    """The structure alone, for messages and comparison: lists and tuples are the same."""
    ((kind, body),) = node.items()
    if kind in ("l", "u"):
        return "(" + ",".join(outline(v) for v in body) + ")"
    if kind == "d":
        return "{" + ",".join(f"{k}:{outline(v)}" for k, v in sorted(body)) + "}"
    return str(kind)
