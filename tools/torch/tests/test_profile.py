"""The profiling program on the processor, and what it makes of preflight files and ncu's logs (written by hand)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from driver import TOOL, of

from ke_torch.profile import ncu
from ke_torch.profile.preflight import counters, preflight

PROBLEM = """
import torch
class Model(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(n))
    def forward(self, x):
        return torch.relu(x * self.weight + 0.5)
def get_inputs():
    return [torch.randn(64, 61)]
def get_init_inputs():
    return [61]
"""


def profile(place: Path, candidate: str, **fields: Any) -> list[dict[str, Any]]:
    job = {
        "device": "cpu", "folder": str(place), "problem": {"format": "kernelbench", "source": PROBLEM, "name": "scale"},
        "candidate": {"source": candidate}, **fields,
    }  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(TOOL), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "ke_torch.profile"]
    done = subprocess.run(argv, input=json.dumps(job), capture_output=True, text=True, env=env, timeout=400)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events and events[-1]["event"] == "done", done.stderr[-2000:]
    return events


def test_a_timeline_of_each_call(tmp_path: Path) -> None:
    events = profile(tmp_path, PROBLEM.replace("Model(", "ModelNew("), calls=4)
    (told,) = of(events, "profiled")
    assert events[-1]["ok"]
    assert told["profiler"] == "pytorch"
    assert told["tensor_bytes"] == {"inputs": 64 * 61 * 4, "weights": 61 * 4, "outputs": 64 * 61 * 4}
    assert len(told["plain_ns"]) == 15 and min(told["plain_ns"]) > 0
    trace = json.loads(Path(told["path"]).read_text(encoding="utf8"))["traceEvents"]
    ranges = [e for e in trace if e.get("name") == "ke_call"]
    inside = [e for e in trace if e.get("name") == "aten::relu" and any(r["ts"] <= e["ts"] < r["ts"] + r["dur"] for r in ranges)]
    assert len(ranges) == 4
    assert len(inside) == 4
    assert not (tmp_path / "out").exists() and not (tmp_path / "tensors.bin").exists()


def test_a_candidate_that_fails_is_told(tmp_path: Path) -> None:
    broken = PROBLEM.replace("Model(", "ModelNew(").replace(
        "return torch.relu", "raise RuntimeError('no luck')\n        return torch.relu"
    )
    events = profile(tmp_path, broken)
    (told,) = of(events, "unprofiled")
    assert told["profiler"] == "pytorch" and "no luck" in told["reason"]
    assert not of(events, "profiled")


def test_a_candidate_is_confined(tmp_path: Path) -> None:
    kills = PROBLEM.replace("Model(", "ModelNew(").replace(
        "return torch.relu", "import os; os.kill(os.getppid(), 9)\n        return torch.relu"
    )
    events = profile(tmp_path, kills)
    assert len(of(events, "unprofiled")) == 1 and not of(events, "profiled")


def test_jobs_that_are_none(tmp_path: Path) -> None:
    for fields in ({"folder": "relative"}, {"profilers": ["gprof"]}, {"calls": 0}):
        events = profile(tmp_path, PROBLEM, **fields)
        assert of(events, "error")[0]["code"] == "invalid_job"


@pytest.mark.parametrize(
    ("text", "confined", "capabilities", "allowed"),
    [
        ("RmProfilingAdminOnly: 0\n", True, "0", True),
        ("RmProfilingAdminOnly: 1\n", True, "000001ffffffffff", False),
        ("RmProfilingAdminOnly: 1\n", False, "000001ffffffffff", True),
        ("RmProfilingAdminOnly: 1\n", False, "0000000000000000", False),
        ("ResmanDebugLevel: 4294967295\n", True, "0", None),
        (None, True, "0", None),
    ],
)
def test_counters(tmp_path: Path, text: str | None, confined: bool, capabilities: str, allowed: bool | None) -> None:
    parameters, status = tmp_path / "params", tmp_path / "status"
    if text is not None:
        parameters.write_text(f"Other: 3\n{text}", encoding="ascii")
    status.write_text(f"Name: python\nCapEff:\t{capabilities}\n", encoding="ascii")
    assert counters(str(parameters), str(status), confined)[0] is allowed


def test_preflight_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("ke_torch.profile.preflight._INSTALLED", f"{tmp_path}/none/*/ncu")
    found = {one["name"]: one for one in preflight("cuda")}
    assert found["ncu"]["ok"] is False and "Nsight Compute" in found["ncu"]["fix"]
    program, parameters = tmp_path / "ncu", tmp_path / "params"
    program.write_text("#!/bin/sh\n", encoding="ascii")
    program.chmod(0o755)
    parameters.write_text("RmProfilingAdminOnly: 1\n", encoding="ascii")
    found = {one["name"]: one for one in preflight("cuda", parameters=str(parameters))}
    assert found["ncu"]["ok"] is False and "NVreg_RestrictProfilingToAdminUsers=0" in found["ncu"]["fix"]
    assert [one["name"] for one in preflight("cpu")] == ["pytorch"]


def test_what_ncu_says() -> None:
    refused = "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters\n"
    found = ncu.trouble(refused)
    assert found is not None and "ERR_NVGPUCTRPERM" in found[0] and "NVreg" in str(found[1])
    found = ncu.trouble("==PROF== Connected\n==ERROR== Failed to initialize the profiler: LibraryNotLoaded\n")
    assert found is not None and "LibraryNotLoaded" in found[0]
    found = ncu.trouble("==WARNING== No kernels were profiled.\n")
    assert found is not None and "no kernel" in found[0]
    assert ncu.trouble("==PROF== Connected\n") is None
    log = f"==ERROR== Failed to find metric {ncu.METRICS[3]}\n"
    assert ncu.unknown_metrics(log, ncu.METRICS) == [ncu.METRICS[3]]


def test_the_command_leaves_clocks_alone() -> None:
    argv = ncu.command("/opt/ncu", "/tmp/log", ["a", "b"], cold=False)
    assert argv[argv.index("--clock-control") + 1] == "none"
    assert argv[argv.index("--cache-control") + 1] == "none"
    assert argv[argv.index("--metrics") + 1] == "a,b"
    assert argv[argv.index("--profile-from-start") + 1] == "off"


@pytest.mark.parametrize(
    ("logs", "told", "runs"),
    [
        (["==ERROR== Failed to find metric dram__bytes_read.sum\n", '"ID","Kernel Name"\n"0","k"\n'], "profiled", 2),
        (["==ERROR== ERR_NVGPUCTRPERM - The user does not have permission\n"], "unprofiled", 1),
    ],
)
def test_counters_without_a_metric_or_a_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: list[str], told: str, runs: int
) -> None:
    """ncu's part with a program that stands for it: what it logs is written by hand."""
    from ke_torch.judging.job import read_job
    from ke_torch.profile import __main__ as program

    (tmp_path / "out").mkdir()
    asked: list[list[str]] = []

    def run(job: Any, way: str, wrap: list[str], folder: Path, seconds: float) -> program.Ran:
        asked.append(wrap)
        (folder / "out" / "ncu.csv").write_text(logs[len(asked) - 1], encoding="ascii")
        (folder / "out" / "ncu-result.json").write_text('{"ok": true}', encoding="ascii")
        return program.Ran(0, False, "")

    monkeypatch.setattr(program, "run", run)
    monkeypatch.setattr(program, "find_ncu", lambda: "/opt/ncu")
    job = read_job({"mode": "verify", "problem": {"format": "kernelbench", "source": PROBLEM, "name": "x"},
                    "candidate": {"source": PROBLEM.replace("Model(", "ModelNew(")}})  # fmt: skip
    events: list[tuple[str, dict[str, Any]]] = []
    own = {"folder": str(tmp_path), "seconds": 1.0}
    program.Profiling(own, job, lambda event, **fields: events.append((event, fields))).counters()
    assert [event for event, _ in events] == [told] and len(asked) == runs
    metrics = asked[-1][asked[-1].index("--metrics") + 1].split(",")
    assert ("dram__bytes_read.sum" in metrics) is (told == "unprofiled")
    if told == "unprofiled":
        assert "NVreg" in events[0][1]["fix"]
