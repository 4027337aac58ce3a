"""Replay on a GPU: the PTX of a Triton kernel, edited, handed back in and run by the judge.

Usage: python3 test/gpu/replay.py --arch sm_90 --out results.json       (needs torch, triton and an NVIDIA GPU)

Three runs of the same source: as it is (right), with a remark in its PTX (right), and with another constant in it (wrong answers:
so it was the edited text that ran).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools" / "torch" / "tests"))
sys.path.insert(0, str(HERE))
from compiling import Compiler  # noqa: E402
from driver import Driver, codes, of, passed  # noqa: E402
from judge import versions  # noqa: E402

PROBLEM = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return x * 3
def get_inputs(): return [torch.randn(1 << 16)]
def get_init_inputs(): return []
"""
CANDIDATE = """
import torch, triton, triton.language as tl

@triton.jit
def scaled(x, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.store(out + at, tl.load(x + at, mask=mask) * 3, mask=mask)

class ModelNew(torch.nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        scaled[(triton.cdiv(x.numel(), 1024),)](x, out, x.numel(), BLOCK=1024)
        return out
"""
THREE, FOUR = "0f40400000", "0f40800000"


def compiled(compiler: Compiler, arch: str, folder: Path, text: str | None) -> list[dict[str, Any]]:
    """Events of one compile job, with an edited text or without."""
    job: dict[str, Any] = {
        "abstraction": "triton", "arch": arch, "source": CANDIDATE, "folder": str(folder),
        "problem": {"format": "kernelbench", "source": PROBLEM},
    }  # fmt: skip
    return compiler.ask(job if text is None else {**job, "replace": {"kernel": "scaled", "ptx": text}})


def main() -> int:
    """Runs the three; the exit code says whether all came out as they should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--arch", default="sm_90", help="the device's architecture")
    parser.add_argument("--out")
    options = parser.parse_args()
    driver, compiler = Driver(), Compiler()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="ke-replay-") as place:
        root = Path(place)
        (kernel,) = of(compiled(compiler, options.arch, root / "first", None), "kernel")
        text = next(Path(a["path"]) for a in kernel["artifacts"] if a["type"] == "ptx").read_text(encoding="utf8")
        if THREE not in text:
            raise SystemExit(f"the PTX has no constant {THREE}")
        edits: list[tuple[str, str | None, bool]] = [
            ("as it is", None, True),
            ("a remark", "// edited\n" + text, True),
            ("another constant", text.replace(THREE, FOUR), False),
        ]
        for name, edited, right in edits:
            cache = root / name.replace(" ", "-") / "candidate_cache"
            os.makedirs(cache)
            row: dict[str, Any] = {"case": name, "expected": "passes" if right else "wrong"}
            if edited is not None:
                (replaced,) = of(compiled(compiler, options.arch, cache.parent, edited), "replaced")
                row["registers"] = replaced["resources"]["registers"]
                if Path(replaced["candidate_cache"]) != cache:
                    raise SystemExit("the overrides lie elsewhere")
            job = {
                "mode": "verify", "device": options.device, "problem": {"format": "kernelbench", "source": PROBLEM},
                "candidate": {"source": CANDIDATE}, "allow_processes": True, "preload": ["triton"], "candidate_cache": str(cache),
            }  # fmt: skip
            started = time.monotonic()
            events = driver.ask(job, 200)
            row |= {"passed": passed(events), "codes": codes(events), "seconds": round(time.monotonic() - started, 2)}
            row["as_expected"] = row["passed"] is right and (right or "value_mismatch" in row["codes"])
            rows.append(row)
            print(json.dumps(row), flush=True)
            if not row["as_expected"]:
                print(json.dumps(events)[:3000], flush=True)
    compiler.close()
    driver.close()
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    command = f"python3 test/gpu/replay.py --device {options.device} --arch {options.arch}"
    result = {"command": command, "date": date, "versions": versions(), "cases": rows}
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    return 0 if rows and all(row["as_expected"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
