"""BackendBench: folders of implementations, and traces of calls as text, read by a small parser of their grammar."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from . import FormatError, Problem, TensorSpec, Workload
from .aten import overload_of

ABBREVIATIONS = {
    "bf16": "bfloat16", "f64": "float64", "f32": "float32", "f16": "float16", "c32": "complex32", "c64": "complex64",
    "c128": "complex128", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "b8": "bool", "u8": "uint8",
}  # fmt: skip


def implementations(root: Path) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    """Overload to file, for a directory of `{op}/{op}_implementation*.py`; and what was skipped, with the reason."""
    found: dict[str, Path] = {}
    skipped: list[tuple[str, str]] = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        files = sorted(folder.glob(f"{folder.name}_implementation*.py"))
        if not files:
            skipped.append((folder.name, "no implementation file"))
            continue
        found[overload_of(folder.name)] = files[-1]
    return found, skipped


def _value(node: ast.AST, tensors: list[TensorSpec]) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "T":
        if len(node.args) < 2 or not isinstance(node.args[1], ast.Name):
            raise FormatError("a tensor is written T([sizes], dtype)")
        try:
            shape = tuple(int(d) for d in ast.literal_eval(node.args[0]))
            dtype = ABBREVIATIONS[node.args[1].id]
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"a tensor of an unknown kind: {error}") from error
        tensors.append(TensorSpec(f"t{len(tensors)}", dtype, shape))
        return {"t": len(tensors) - 1}
    if isinstance(node, (ast.Tuple, ast.List)):
        return {"u" if isinstance(node, ast.Tuple) else "l": [_value(e, tensors) for e in node.elts]}
    if isinstance(node, ast.Dict):
        return {"d": [[_text(k), _value(v, tensors)] for k, v in zip(node.keys, node.values, strict=True)]}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch":
        return {"dtype": node.attr}
    try:
        plain = ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise FormatError("a trace holds numbers, strings, tensors, lists and dictionaries only") from error
    kinds: list[tuple[type, str, Any]] = [
        (bool, "b", plain),
        (int, "i", str(plain)),
        (float, "f", plain.hex() if isinstance(plain, float) else ""),
        (str, "s", plain),
    ]
    for kind, tag, body in kinds:
        if isinstance(plain, kind):
            return {tag: body}
    if plain is None:
        return {"n": 0}
    raise FormatError(f"a trace holds no {type(plain).__name__}")


def _text(node: ast.AST | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise FormatError("the name of a keyword argument is a string")


def parse_arguments(text: str) -> tuple[Any, tuple[TensorSpec, ...]]:
    """``((T([2, 3], f16), 1), {})`` as a structure and its tensors. Infinity and NaN are written inf and nan there."""
    tensors: list[TensorSpec] = []
    safe = re.sub(r"(?<![\w.])inf(?![\w.])", "1e999", text)
    try:
        tree = ast.parse(safe.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise FormatError(f"not the arguments of a call: {text[:80]}") from error
    if not (isinstance(tree, ast.Tuple) and len(tree.elts) == 2):
        raise FormatError("arguments are a tuple of a tuple and a dictionary")
    return {"u": [_value(tree.elts[0], tensors), _value(tree.elts[1], tensors)]}, tuple(tensors)


def parse_trace(text: str, most: int = 10) -> tuple[dict[str, Problem], list[tuple[str, str]]]:
    """Problems by overload, at most `most` calls each; and the lines that were skipped, with the reason."""
    calls: dict[str, list[Workload]] = {}
    skipped: list[tuple[str, str]] = []
    operator = ""
    for line in text.splitlines():
        head = re.match(r"Operator:\s*(?:aten\.)?(\S+)", line)
        call = re.match(r"cnt:\s*\d+,\s*(.*)$", line.strip())
        if head:
            operator = head.group(1)
        elif call and operator:
            try:
                tree, tensors = parse_arguments(call.group(1))
            except FormatError as error:
                skipped.append((operator, str(error)))
                continue
            of = calls.setdefault(operator, [])
            if len(of) < most:
                of.append(Workload(f"trace-{len(of)}", tensors=tensors, tree=tree))
    return {
        name: Problem(
            f"aten.{name}", "backendbench", (), {"kind": "aten", "entry": name},
            {"kind": "function", "file": "candidate.py"}, tuple(workloads),
        )
        for name, workloads in calls.items()
    }, skipped  # fmt: skip
