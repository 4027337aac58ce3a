"""What compilers say: resources of kernels, and errors with their lines. Parsers of text only."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

_ENTRY = re.compile(r"Compiling entry function '([^']+)'(?: for '([^']+)')?")
_PROPERTIES = re.compile(r"Function properties for '?([^'\s]+)'?")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+)(?:\+\d+)? bytes smem")
_BARRIERS = re.compile(r"used (\d+) barriers")
_CONSTANT = re.compile(r"(\d+) bytes cmem\[(\d+)\]")


@dataclass
class Resources:
    """One kernel's; bytes are per thread for stack and spills, per block for shared memory. Unknown ones are None."""

    registers: int | None = None
    stack_bytes: int | None = None
    spill_store_bytes: int | None = None
    spill_load_bytes: int | None = None
    shared_static_bytes: int | None = None
    barriers: int | None = None
    constant_bytes: int | None = None
    vector_registers: int | None = None
    accumulation_registers: int | None = None
    scalar_registers: int | None = None
    vector_spills: int | None = None
    scalar_spills: int | None = None
    scratch_bytes: int | None = None

    def known(self) -> dict[str, Any]:
        """The fields that are known."""
        return {k: v for k, v in asdict(self).items() if v is not None}


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return int(found[1]) if found else None


def parse_ptxas(text: str) -> dict[str, Resources]:
    """``ptxas -v`` (also by ``nvcc -Xptxas -v``): by the kernel's mangled name, functions left out."""
    found: dict[str, Resources] = {}
    current: Resources | None = None
    inside: Resources | None = None
    for line in text.splitlines():
        if entry := _ENTRY.search(line):
            current = inside = found.setdefault(entry[1], Resources())
        elif about := _PROPERTIES.search(line):
            inside = found.get(about[1])
        elif (frame := _FRAME.search(line)) and inside is not None:
            inside.stack_bytes, inside.spill_store_bytes, inside.spill_load_bytes = (int(v) for v in frame.groups())
        elif (registers := _REGISTERS.search(line)) and current is not None:
            current.registers = int(registers[1])
            current.shared_static_bytes = _number(_SHARED, line) or 0
            current.barriers = _number(_BARRIERS, line) or 0
            current.constant_bytes = sum(int(c[0]) for c in _CONSTANT.findall(line))
    return found


_AMD_FIELDS = {
    "vector_registers": "vgpr_count", "accumulation_registers": "agpr_count", "scalar_registers": "sgpr_count",
    "vector_spills": "vgpr_spill_count", "scalar_spills": "sgpr_spill_count", "scratch_bytes": "private_segment_fixed_size",
    "shared_static_bytes": "group_segment_fixed_size",
}  # fmt: skip


def parse_amdgcn(text: str) -> dict[str, Resources]:
    """The kernels of AMD assembly text, by the metadata at its end."""
    start = text.find(".amdgpu_metadata")
    metadata = text[start:] if start >= 0 else text
    found: dict[str, Resources] = {}
    # One list entry a kernel in `amdhsa.kernels`; its arguments are lists too, but named otherwise.
    for part in re.split(r"(?m)^  - (?=\.)", metadata)[1:]:
        name = re.search(r"(?m)^\s*\.name:\s+'?([\w.$]+)'?\s*$", part)
        symbol = re.search(r"(?m)^\s*\.symbol:\s+'?([\w.$]+)\.kd'?\s*$", part)
        if symbol is None and name is None:
            continue
        resources = Resources()
        for field, key in _AMD_FIELDS.items():
            setattr(resources, field, _number(re.compile(rf"\.{key}:\s+(\d+)"), part))
        total = _number(re.compile(r"; TotalNumVgprs:\s+(\d+)"), text)
        resources.registers = resources.vector_registers if resources.vector_registers is not None else total
        found[symbol[1] if symbol else (name[1] if name else "kernel")] = resources
    return found


@dataclass(frozen=True)
class Diagnostic:
    """One complaint of a compiler or an assembler; `line` and `column` count from 1 in the text that was handed in."""

    severity: str
    message: str
    line: int | None = None
    column: int | None = None
    file: str | None = None

    def fields(self) -> dict[str, Any]:
        """As it stands in an event."""
        return {k: v for k, v in asdict(self).items() if v is not None}


_FORMS = (
    # ptxas FILE, line N; error   : message
    re.compile(r"^ptxas (?P<file>[^,\n]*), line (?P<line>\d+); (?P<severity>\w+)\s*: (?P<message>.*)$"),
    # FILE(N): error: message, FILE(N): error #20-D: message (nvcc)
    re.compile(
        r"^(?P<file>[^\s(][^(\n]*)\((?P<line>\d+)\): (?P<severity>error|warning|catastrophic error)(?: #[\w-]+)?: (?P<message>.*)$"
    ),
    # FILE:N:C: error: message (gcc, LLVM)
    re.compile(
        r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?P<column>\d+): (?P<severity>fatal error|error|warning): (?P<message>.*)$"
    ),
    re.compile(r"^(?P<file>ptxas|nvcc|nvlink)\s+(?P<severity>fatal|error|warning)\s*: (?P<message>.*)$"),
)


def parse_diagnostics(text: str, names: dict[str, str] | None = None) -> list[Diagnostic]:
    """Errors and warnings with their lines; `names` gives the caller's names for files of the build folder."""
    found = []
    for line in text.splitlines():
        for form in _FORMS:
            match = form.match(line)
            if match is None:
                continue
            parts = match.groupdict()
            file = parts.get("file")
            for path, name in (names or {}).items():
                file = name if file == path else file
            severity = "warning" if parts["severity"] == "warning" else "error"
            number, column = parts.get("line"), parts.get("column")
            found.append(
                Diagnostic(
                    severity, parts["message"].strip(), int(number) if number else None, int(column) if column else None, file
                )
            )
            break
    return found


def parse_listing(text: str, source: str) -> list[Diagnostic]:
    """Errors that come with a listing instead of a number (``error: message``, the line, a caret): found again in `source`."""
    said, lines = text.splitlines(), [" ".join(line.split()) for line in source.splitlines()]
    found: list[Diagnostic] = []
    after: dict[str, int] = {}
    for k, line in enumerate(said):
        match = re.match(r"^(?:<\w+>:(\d+):\d+: )?(error|warning): (.*)$", line)
        if match is None:
            continue
        number = int(match[1]) if match[1] else None
        shown = " ".join(said[k + 1].split()) if k + 1 < len(said) else ""
        if number is None and shown in lines[after.get(shown, 0) :]:
            number = after[shown] = lines.index(shown, after.get(shown, 0)) + 1
        found.append(Diagnostic(match[2], match[3].strip(), number))
    return found
