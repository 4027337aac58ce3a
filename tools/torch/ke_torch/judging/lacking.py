"""What a compiled baseline lacks on this machine, and how to get it."""

from __future__ import annotations


class LeftOut(Exception):
    """A baseline cannot be had here; it has been told, and the others stand."""


# What the compiler of PyTorch says where something of the machine is missing, and how to get that.
_NEEDS = (
    (("No working C++ compiler", "InvalidCxxCompiler"), "install g++ (apt-get install g++)"),
    (("Python.h",), "install Python's headers (apt-get install python3-dev)"),
    (("TritonMissing", "Cannot find a working triton"), "pip install triton"),
    (("Failed to find C compiler",), "install gcc (apt-get install gcc)"),
)


def why_missing(message: str) -> str:
    """Why a compiled baseline is not there, and what to do about it."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    last = (lines[-1] if lines else "it said nothing")[:300]
    how = next((fix for words, fix in _NEEDS if any(word in message for word in words)), "the other baselines stand without it")
    return f"{last}; {how}"
