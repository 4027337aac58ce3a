"""Judges the candidates on a machine without a GPU: Triton runs in its interpreter, on problems made small.

The integer constants of a KernelBench file are replaced (by `ast`, into a text that the judge gets) by small irregular ones, so
that blocks are cut off at edges and loops run more than once. Operators come with PyTorch's own samples, which are small.

Usage: python3 test/gpu/candidates/check.py --path KERNELBENCH [--only TEXT] [--trials N]   KernelBench candidates
       python3 test/gpu/candidates/check.py --aten [--only TEXT] [--dtypes float32,...]      ATen candidates
It needs torch and triton; KERNELBENCH is a checkout of the benchmark.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tools" / "torch" / "tests"))
from driver import Driver, codes, of, passed  # noqa: E402

# Constants of the small problem; those not named become the next of `SIZES` when they are larger than 16.
SIZES = (17, 23, 29, 35, 41, 47, 53)
_LONG = {"batch_size": 3, "dim": 9001}
_NORM = {"batch_size": 3, "features": 6, "dim1": 61, "dim2": 77, "num_groups": 3}
_GEMM = {"batch_size": 37, "in_features": 75, "out_features": 141, "input_size": 75, "hidden_size": 141, "output_size": 141}
SMALL: dict[str, dict[str, Any]] = {
    **{f"level1/{n}": {"batch_size": 3, "dim": 3001} for n in (19, 20, 21, 22, 25, 26, 27, 28, 29, 30, 31, 32, 88)},
    **{f"level1/{n}": _LONG for n in (23, 24, 38, 39)},
    **{f"level1/{n}": {"batch_size": 3, "input_shape": (9001,)} for n in (89, 91, 92, 93, 94, 96, 98, 99)},
    **{f"level1/{n}": _NORM for n in (33, 34, 35, 36, 37, 40)},
    **{f"level1/{n}": {"M": 150, "K": 75, "N": 141, "L": 141} for n in (1, 2, 13, 14, 15, 16, 17, 18, 7, 8)},
    **{f"level1/{n}": {"batch_size": 2, "dim1": 75, "dim2": 141} for n in (47, 48, 49, 51, 52, 53)},
    "level1/3": {"batch_size": 3, "m": 70, "k": 45, "n": 81},
    "level1/10": {"N": 3, "M": 45, "K": 75, "L": 81},
    "level1/11": {"b": 2, "i": 5, "j": 7, "l": 45, "k": 81},
    "level1/4": {"M": 10, "K": 40001},
    "level1/6": {"M": 37, "N": 45, "K": 1531},
    "level1/9": {"M": 150, "N": 31},
    "level1/12": {"M": 5001, "N": 5},
    "level1/41": {"batch_size": 2, "features": 3, "sequence_length": 2501},
    "level1/42": {"batch_size": 2, "channels": 2, "height": 19, "width": 141},
    "level1/43": {"batch_size": 2, "channels": 2, "dim1": 17, "dim2": 23, "dim3": 29},
    "level1/44": {"batch_size": 2, "in_channels": 3, "input_length": 2501},
    "level1/46": {"batch_size": 2, "channels": 2, "depth": 17, "height": 23, "width": 29},
    "level1/87": {"batch_size": 2, "in_channels": 13, "out_channels": 35, "width": 17, "height": 19},
    "level1/95": {"batch_size": 23, "num_classes": 301},
    "level1/100": {"batch_size": 301, "input_shape": (301,)},
    **{f"level2/{n}": _GEMM for n in range(1, 101)},
    **{f"level2/{n}": {**_GEMM, "out_features": 150, "hidden_size": 150, "num_groups": 10} for n in (30, 37, 62, 88, 94)},
    "level2/99": {**_GEMM, "batch_size": 7},
    "level3/1": {"batch_size": 37, "input_size": 45, "layer_sizes": [75, 70], "output_size": 81},
    "level3/2": {"batch_size": 37, "input_size": 45, "hidden_layer_sizes": [75, 70], "output_size": 81},
    "level3/3": {"batch_size": 37, "input_size": 45, "hidden_layer_sizes": [75] * 4, "output_size": 81},
    "level3/13": {"batch_size": 2, "num_input_features": 13, "num_output_features": 35, "height": 19, "width": 23},
    "level3/17": {"batch_size": 2, "height": 19, "width": 23, "expand1x1_channels": 35, "expand3x3_channels": 29},
    "level3/31": {"embed_dim": 36, "num_heads": 3, "num_channels": 36, "image_height": 13, "image_width": 15},
    "level3/34": {"batch_size": 3, "input_size": 45, "hidden_size": 75, "output_size": 29, "sequence_length": 7},
    "level3/43": {"batch_size": 2, "max_seqlen": 160, "seq_len": 141, "n_embd": 48, "n_head": 3},
    "level3/44": {"batch_size": 2, "max_seqlen": 160, "seq_len": 75, "n_embd": 48, "n_head": 3},
    "level3/50": {"batch_size": 2, "max_seqlen": 141, "n_embd": 48, "n_head": 3},
}


def number_of(node: ast.expr) -> Any:
    """The value of a literal or of a product of literals; None for anything else."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        pass
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Add)):
        left, right = number_of(node.left), number_of(node.right)
        if isinstance(left, (int, list)) and isinstance(right, (int, list)):
            return left * right if isinstance(node.op, ast.Mult) else left + right
    return None


def reduced(source: str, sizes: dict[str, Any]) -> str:
    """The problem with its module's constants replaced."""
    tree = ast.parse(source)
    spare = iter(SIZES * 4)
    for node in tree.body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target, value = node.targets[0], number_of(node.value)
        if isinstance(target, ast.Tuple) and isinstance(value, tuple):
            names = [t.id for t in target.elts if isinstance(t, ast.Name)]
            new: Any = tuple(sizes.get(n, next(spare) if v > 16 else v) for n, v in zip(names, value, strict=True))
        elif isinstance(target, ast.Name) and target.id in sizes:
            new = sizes[target.id]
        elif isinstance(value, int) and not isinstance(value, bool) and value > 16:
            new = next(spare)
        else:
            continue
        node.value = ast.parse(repr(new), mode="eval").body
    return ast.unparse(ast.fix_missing_locations(tree))


def outcome(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Passed, what spoke against it, and whose kernels ran."""
    row: dict[str, Any] = {"passed": passed(events), "codes": codes(events)}
    for event in of(events, "verified")[:1]:
        row |= {"error": round(event["worst_error"] or 0, 4), "weights": event["weights"]}
    for event in of(events, "dispatched"):
        row |= {"work": event["work"], "own": event["own_kernels"], "torch": event["torch_operators"]}
    if not row["passed"]:
        row["why"] = [
            {k: v for k, v in e.items() if k != "event"} for e in events if e["event"] in ("wrong", "host_failure", "error")
        ][:2]
    return row


def kernelbench_jobs(path: Path, only: str) -> list[tuple[str, dict[str, Any]]]:
    """A job for every candidate."""
    jobs = []
    for file in sorted(HERE.glob("kernelbench/*/*.py"), key=lambda f: (f.parent.name, int(f.name.split("_")[0]))):
        level, name = file.parent.name, file.stem
        label = f"{level}/{name}"
        if not re.search(only, label):
            continue
        problem = path / "KernelBench" / level / file.name
        source = reduced(problem.read_text(encoding="utf8"), SMALL.get(f"{level}/{name.split('_')[0]}", {}))
        jobs.append(
            (label, {"problem": {"format": "kernelbench", "source": source, "name": name}, "candidate": {"path": str(file)}})
        )
    return jobs


def aten_jobs(only: str, dtypes: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """A job for every candidate and type."""
    jobs = []
    for file in sorted(HERE.glob("aten/*.py")):
        overload = file.stem.replace("__", ".")
        if re.search(only, overload):
            for dtype in dtypes:
                problem = {"format": "aten", "overload": overload, "dtype": dtype, "samples": 64}
                jobs.append((f"{overload} {dtype}", {"problem": problem, "candidate": {"path": str(file)}}))
    return jobs


def main() -> int:
    """Judges what is asked for; exits with 1 when one does not pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, help="a checkout of KernelBench")
    parser.add_argument("--aten", action="store_true", help="the ATen candidates")
    parser.add_argument("--only", default="", help="candidates whose name matches this expression")
    parser.add_argument("--dtypes", default="float32")
    parser.add_argument("--trials", type=int, default=8)
    options = parser.parse_args()
    if not options.aten and options.path is None:
        parser.error("name a checkout of KernelBench with --path, or ask for --aten")
    jobs = aten_jobs(options.only, options.dtypes.split(",")) if options.aten else kernelbench_jobs(options.path, options.only)
    driver, failed = Driver(), []
    for label, job in jobs:
        begun = time.monotonic()
        events = driver.ask(
            {"mode": "verify", "device": "cpu", "trials": options.trials, "preload": ["triton"], "call_seconds": 120, **job}, 900
        )
        row = outcome(events)
        print(json.dumps({"candidate": label, "seconds": round(time.monotonic() - begun, 1), **row}), flush=True)
        if not row["passed"] or row.get("work") not in ("own", "mixed"):
            failed.append(label)
    driver.close()
    print(
        f"{len(jobs) - len(failed)} of {len(jobs)} pass with kernels of their own" + "".join(f"\n  not: {name}" for name in failed)
    )
    return 1 if failed or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
