"""JSON lines on stdout, which is taken away from everything else in this process."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any

Emit = Callable[..., None]


def clean(value: Any) -> Any:
    """The value as strict JSON: numbers that are not finite are null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(v) for v in value]
    return value


def line(event: str, **fields: Any) -> str:
    """One event as its line."""
    return json.dumps({"event": event, **clean(fields)}, allow_nan=False)


def take_stdout() -> Emit:
    """An emitter on the real stdout; whatever else prints goes to stderr from now on."""
    out = os.fdopen(os.dup(1), "w", encoding="utf8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr

    def emit(event: str, **fields: Any) -> None:
        out.write(line(event, **fields) + "\n")
        out.flush()

    return emit
