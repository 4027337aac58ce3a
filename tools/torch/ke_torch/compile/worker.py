"""The confined side: one request, frames out, and that is all. Runs in a child of the warm process."""

from __future__ import annotations

import importlib
import json
import os
import traceback
from typing import Any

from ..hosting import confine
from .frames import Writer

FD_REQUEST, FD_FRAMES = 3, 4
# Only the first of them runs candidate code in its own process.
TASKS = {"triton": "triton_task", "assemble": "tools_task", "nvcc": "tools_task", "build": "build_task"}


def _read(fd: int) -> Any:
    parts = []
    while data := os.read(fd, 1 << 20):
        parts.append(data)
    os.close(fd)
    return json.loads(b"".join(parts))


def run(request: dict[str, Any], folder: str) -> int:
    """Called in the forked child, as the judge's hosts are: confines itself, then works."""
    held = confine.confine(confine.Limits(**request["limits"]))
    asked = _read(FD_REQUEST)
    write = Writer(FD_FRAMES)
    write("confined", held=held)
    try:
        importlib.import_module(f"ke_torch.compile.{TASKS[asked['task']]}").run(asked, folder, write)
    except Exception as error:
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))[-6000:]
        write("exception", name=type(error).__name__, message=str(error)[:4000], trace=trace)
    write("end")
    return 0
