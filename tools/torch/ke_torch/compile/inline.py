"""CUDA sources in a Python file: constants of the module that are given to ``load_inline``. By `ast`, never executed."""

from __future__ import annotations

import ast

from ..formats import FormatError, parse_python


def _constants(tree: ast.Module) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = (node.value.value, node.value.lineno)
    return found


def _texts(node: ast.expr, constants: dict[str, tuple[str, int]]) -> list[tuple[str, int]]:
    if isinstance(node, (ast.List, ast.Tuple)):
        return [text for item in node.elts for text in _texts(item, constants)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [(node.value, node.lineno)]
    if isinstance(node, ast.Name) and node.id in constants:
        return [constants[node.id]]
    raise FormatError(
        f"line {node.lineno}: cuda_sources has to be string constants of the module; hand in the CUDA source itself as a .cu text"
    )


def cuda_of_python(source: str) -> tuple[str, int]:
    """The CUDA text that the file gives to ``load_inline``, and how many lines of the file come before its first one.

    @raises FormatError when there is none that can be read without running the file.
    """
    tree = parse_python(source, "the candidate")
    constants = _constants(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
        if name != "load_inline":
            continue
        given = next((k.value for k in node.keywords if k.arg == "cuda_sources"), None)
        if given is None and len(node.args) > 2:
            given = node.args[2]
        if given is not None:
            texts = _texts(given, constants)
            return "\n".join(text for text, _ in texts), texts[0][1] - 1 if len(texts) == 1 else 0
    raise FormatError("the file calls no load_inline with cuda_sources; hand in a .cu text, or use abstraction triton")


def looks_like_python(source: str) -> bool:
    """Whether a text is Python rather than CUDA."""
    if "load_inline" not in source:
        return False
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True
