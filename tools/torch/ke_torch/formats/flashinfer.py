"""FlashInfer-Trace: a definition with its Python reference, workloads, and solutions."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..boundary.wire import BY_NAME
from . import Candidate, FormatError, Problem, TensorSpec, Workload, require


def _size(text: str, axes: dict[str, int]) -> int:
    """An axis name, or an arithmetic expression of axes, without evaluating code."""

    def value(node: ast.AST) -> int:
        if isinstance(node, ast.Expression):
            return value(node.body)
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name) and node.id in axes:
            return axes[node.id]
        rules: dict[type, Callable[[int, int], int]] = {
            ast.Add: lambda a, b: a + b,
            ast.Sub: lambda a, b: a - b,
            ast.Mult: lambda a, b: a * b,
            ast.FloorDiv: lambda a, b: a // b,
        }
        if isinstance(node, ast.BinOp) and type(node.op) in rules:
            return rules[type(node.op)](value(node.left), value(node.right))
        raise FormatError(f"the size {text!r} is no axis and no expression of axes")

    return value(ast.parse(text, mode="eval"))


def _shape(tensor: dict[str, Any], axes: dict[str, int]) -> tuple[int, ...] | None:
    shape = tensor.get("shape")
    return None if shape is None else tuple(d if isinstance(d, int) else _size(str(d), axes) for d in shape)


def _axes(definition: dict[str, Any], bound: dict[str, Any]) -> dict[str, int]:
    axes = {}
    for name, axis in definition["axes"].items():
        if axis["type"] == "const":
            axes[name] = int(axis["value"])
        elif axis["type"] == "var":
            if name not in bound:
                raise FormatError(f"the workload does not bind the axis {name}")
            axes[name] = int(bound[name])
        else:
            axes[name] = _size(str(axis["expression"]), axes)
    return axes


def _input(name: str, tensor: dict[str, Any], how: dict[str, Any], axes: dict[str, int], root: Path | None) -> TensorSpec:
    shape, dtype = _shape(tensor, axes), str(tensor["dtype"])
    if dtype not in BY_NAME:
        raise FormatError(f"the dtype {dtype} of {name} is not carried")
    if how.get("type") == "scalar":
        return TensorSpec(name, dtype, shape or (), value=how["value"], scalar=True)
    if how.get("type") == "safetensors":
        path = Path(str(how["path"]))
        path = path if path.is_absolute() or root is None else root / path
        return TensorSpec(name, dtype, shape or (), path=str(path), key=str(how["tensor_key"]))
    return TensorSpec(name, dtype, shape or (), scalar=shape is None)


def _workload(definition: dict[str, Any], workload: dict[str, Any], k: int, root: Path | None, optional: bool) -> Workload:
    axes = _axes(definition, workload.get("axes", {}))
    how = workload.get("inputs", {})
    return Workload(
        uuid=str(workload.get("uuid", f"workload-{k}")),
        timed=not optional and workload.get("role", "timed") != "edge",
        tensors=tuple(_input(n, t, how.get(n, {"type": "random"}), axes, root) for n, t in definition["inputs"].items()),
        destinations=tuple((_shape(t, axes) or (), str(t["dtype"])) for t in definition["outputs"].values()),
        optional=optional,
    )


def _odd(definition: dict[str, Any], workload: dict[str, Any], root: Path | None) -> list[Workload]:
    """Shapes beside the given ones: each variable axis one less, and all of them one; only where every input can be made."""
    if any(how.get("type") == "safetensors" for how in workload.get("inputs", {}).values()):
        return []
    bound = {n: int(v) for n, v in workload.get("axes", {}).items()}
    changes = [(f"{name}-1", {**bound, name: value - 1}) for name, value in bound.items() if value > 1]
    if bound:
        changes.append(("ones", dict.fromkeys(bound, 1)))
    uuid = workload.get("uuid", "workload-0")
    return [_workload(definition, {**workload, "axes": axes, "uuid": f"{uuid}-odd-{n}"}, 0, root, True) for n, axes in changes]


def parse_problem(definition: dict[str, Any], workloads: list[dict[str, Any]], root: Path | None, odd: bool = False) -> Problem:
    """The problem of a definition; workloads as objects with `axes` and `inputs`, alone or inside a Trace."""
    for key in ("name", "axes", "inputs", "outputs", "reference"):
        if key not in definition:
            raise FormatError(f"the definition has no {key}")
    require(definition["reference"], ["run"], "the reference")
    made = [_workload(definition, entry.get("workload", entry), k, root, False) for k, entry in enumerate(workloads)]
    if not made:
        raise FormatError("the job names no workload")
    if odd:
        made += _odd(definition, workloads[0].get("workload", workloads[0]), root)
    names = list(definition["outputs"])
    return Problem(
        name=str(definition["name"]),
        format="flashinfer",
        files=(("reference.py", definition["reference"].encode()),),
        subject={"kind": "function", "file": "reference.py", "entry": "run", "outputs": names},
        candidate_entry={"kind": "function", "outputs": names},
        workloads=tuple(made),
    )


def parse_solution(solution: dict[str, Any], problem: Problem) -> Candidate:
    """A solution's files; destination passing is the format's default."""
    spec = solution.get("spec", {})
    if spec.get("language", "python") not in ("python", "triton"):
        raise FormatError(f"solutions in {spec['language']} are built elsewhere; here python and triton run")
    file, _, function = str(spec.get("entry_point", "main.py::run")).partition("::")
    files = tuple((str(s["path"]), str(s["content"]).encode()) for s in solution.get("sources", ()))
    content = dict(files).get(file)
    if content is None:
        raise FormatError(f"the solution has no file {file}")
    require(content.decode(), [function], "the solution")
    passing = bool(spec.get("destination_passing_style", True))
    return Candidate(files, {**problem.candidate_entry, "file": file, "entry": function, "passing": passing})
