import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from driver import Driver, codes, of, passed
from test_formats import DEFINITION, WORKLOAD

NORM = """
import torch
class Model(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.norm = torch.nn.LayerNorm(n)
    def forward(self, x):
        return self.norm(x)
def get_inputs(): return [torch.randn(16, 32)]
def get_init_inputs(): return [32]
"""
OWN = NORM.replace("Model(", "ModelNew(")


def ask(judge: Driver, candidate: str, problem: str = NORM, **more: Any) -> list[dict[str, Any]]:
    job = {"mode": "verify", "problem": {"format": "kernelbench", "source": problem}, "candidate": {"source": candidate}, **more}
    return judge.ask(job)


def test_the_reference_as_candidate_passes(judge: Driver) -> None:
    problem = {"format": "kernelbench", "source": NORM}
    events = judge.ask({"mode": "verify", "problem": problem, "candidate": {"source": NORM, "entry": "Model"}})
    assert passed(events) and of(events, "weights")[0]["by"] == "state_dict"
    (verified,) = of(events, "verified")
    assert verified["oracle"] == "float64" and verified["deterministic"] and "seccomp" in verified["confinement"]
    assert of(events, "dispatched")[0]["work"] == "torch"


def test_weights_that_are_ones_are_not_skipped(judge: Driver) -> None:
    skip = OWN.replace("return self.norm(x)", "return torch.nn.functional.layer_norm(x, x.shape[1:])")
    events = ask(judge, skip)
    assert [e["trial"] for e in of(events, "wrong")] == ["weights changed in place"]


def test_other_names_get_their_weights_by_seed_and_it_is_said(judge: Driver) -> None:
    linear = NORM.replace("LayerNorm(n)", "Linear(n, n)")
    events = ask(judge, linear.replace("Model(", "ModelNew(").replace("self.norm", "self.other"), linear)
    assert passed(events) and of(events, "weights")[0]["by"] == "seed"
    assert "weights changed in place" in of(events, "verified")[0]["skipped"]


def test_where_float64_tells_nothing_the_baseline_in_its_own_type_does(judge: Driver) -> None:
    # Other numbers are drawn in float64, as dropout does on some devices.
    noise = NORM.replace("return self.norm(x)", "return self.norm(x) * torch.rand_like(x)")
    own = noise.replace("Model(", "ModelNew(")
    events = ask(judge, own, noise)
    assert passed(events) and of(events, "verified")[0]["oracle"] == "eager"
    assert "as large as its answer" in of(events, "oracle")[0]["reason"]
    assert not passed(ask(judge, own.replace("torch.rand_like(x)", "torch.rand_like(x) * 1.1"), noise))
    # Nothing is left where the baseline's own answers have nothing in common.
    clock = NORM.replace("import torch", "import torch, time").replace("self.norm(x)", "self.norm(x) * (time.time_ns() % 977)")
    assert not passed(ask(judge, clock.replace("Model(", "ModelNew("), clock))


def test_gradients(judge: Driver) -> None:
    assert passed(ask(judge, OWN, backward=True))
    cut = OWN.replace("return self.norm(x)", "return self.norm(x.detach())")
    assert not passed(ask(judge, cut, backward=True)) and passed(ask(judge, cut))
    assert not passed(ask(judge, OWN.replace("self.norm(x)", "self.norm(x.detach() * 0.5 + x * 0.5)"), backward=True))


def test_an_own_kernel_can_be_asked_for(judge: Driver) -> None:
    assert "no_own_kernel" in codes(ask(judge, OWN, require_own_kernel=True))


def test_a_broken_reference_is_not_held_against_the_candidate(judge: Driver) -> None:
    events = ask(judge, OWN, NORM.replace("return [torch.randn(16, 32)]", "raise RuntimeError('no inputs')"))
    (failure,) = of(events, "host_failure")
    assert failure["role"] == "reference" and not passed(events)


def test_a_hang_ends_and_the_next_job_works(judge: Driver) -> None:
    assert "call_timeout" in codes(ask(judge, OWN.replace("return self.norm(x)", "import time; time.sleep(100)"), call_seconds=1))
    assert passed(ask(judge, OWN))


def test_grading_finds_degenerate_problems(judge: Driver) -> None:
    zero = NORM.replace("return self.norm(x)", "return (x - x) * 0")
    (graded,) = of(judge.ask({"mode": "grade", "problem": {"format": "kernelbench", "source": zero}}), "graded")
    assert graded["degenerate"] and graded["nulls"]["zeros"]
    (graded,) = of(judge.ask({"mode": "grade", "problem": {"format": "kernelbench", "source": NORM}}), "graded")
    assert not graded["degenerate"]


def test_flashinfer_definitions(judge: Driver) -> None:
    problem = {
        "format": "flashinfer",
        "definition": DEFINITION,
        "workloads": [WORKLOAD, {**WORKLOAD, "axes": {"n": 5}, "uuid": "v"}],
    }
    solution = {
        "spec": {"language": "python", "entry_point": "k.py::go"},
        "sources": [{"path": "k.py", "content": "def go(x, s, y):\n    y.copy_(x * s)\n"}],
    }
    events = judge.ask({"mode": "verify", "problem": problem, "candidate": {"solution": solution}})
    assert passed(events) and len(of(events, "verified")) == 4
    idle = {**solution, "sources": [{"path": "k.py", "content": "def go(x, s, y):\n    pass\n"}]}
    assert "nan_mismatch" in codes(judge.ask({"mode": "verify", "problem": problem, "candidate": {"solution": idle}}))
    fixed = {**solution, "sources": [{"path": "k.py", "content": "def go(x, s, y):\n    y[:3].copy_((x * s)[:3])\n"}]}
    assert not passed(judge.ask({"mode": "verify", "problem": problem, "candidate": {"solution": fixed}}))


@pytest.mark.parametrize(
    ("overload", "body"),
    [("add.Tensor", "a + kwargs.get('alpha', 1) * args[0]"), ("mul.Tensor", "a * args[0]"), ("sin", "a.sin()")],
)
def test_operators_with_pytorchs_own_samples(judge: Driver, overload: str, body: str) -> None:
    name = overload.replace(".", "__") + "_kernel_impl"
    source = f"import torch\ndef {name}(a, *args, **kwargs):\n    return {body}\n"
    problem = {"format": "aten", "overload": overload, "samples": 2}
    assert passed(judge.ask({"mode": "verify", "trials": 4, "problem": problem, "candidate": {"source": source}}))
    wrong = source.replace("return ", "return 2 * ")
    assert not passed(judge.ask({"mode": "verify", "trials": 4, "problem": problem, "candidate": {"source": wrong}}))


def test_traced_calls(judge: Driver) -> None:
    problem = {
        "format": "backendbench", "overload": "add.Tensor",
        "trace": "Operator: aten.add.Tensor\ncnt: 1, ((T([8, 4], f32), T([4], f32)), {'alpha': 2})\n",
    }  # fmt: skip
    source = "def add__Tensor_kernel_impl(a, b, alpha=1):\n    return a + alpha * b\n"
    assert passed(judge.ask({"mode": "verify", "trials": 4, "problem": problem, "candidate": {"source": source}}))


def test_kernelbot(judge: Driver, tmp_path: Path) -> None:
    (tmp_path / "reference.py").write_text(
        "import torch\ndef generate_input(size, seed):\n    g = torch.Generator().manual_seed(seed)\n"
        "    return torch.randn(size, generator=g), 2.0\ndef ref_kernel(data):\n    return data[0] * data[1]\n"
    )
    files = [{"name": "submission.py", "source": "@SUBMISSION@"}, {"name": "reference.py", "source": "reference.py"}]
    problem = {"format": "kernelbot", "root": str(tmp_path), "task": {"files": files, "tests": [{"size": 100, "seed": 1}]}}
    source = "def custom_kernel(data):\n    return data[0] + data[0]\n"
    assert passed(judge.ask({"mode": "verify", "trials": 4, "problem": problem, "candidate": {"source": source}}))


def test_a_copy_of_the_reference_is_neither_faster_nor_slower(judge: Driver) -> None:
    work = NORM.replace("return self.norm(x)", "return self.norm(x @ x.t() @ x)").replace("(16, 32)", "(256, 32)")
    events = ask(
        judge, work.replace("Model(", "ModelNew("), work, mode="evaluate", budget_seconds=3, generations={"min": 3, "max": 6}
    )
    (timed,) = of(events, "benchmarked")
    (eager,) = timed["baselines"]
    assert timed["checked"] >= 3 and timed["compared"] >= timed["rounds"]
    assert eager["low"] <= 1.1 and eager["high"] >= 0.9 and timed["clock"] == "judge"


def test_work_that_is_left_out_is_seen_as_speed(judge: Driver) -> None:
    # Waiting is work that a busy machine does not make longer by much.
    slow = NORM.replace("import torch", "import time, torch").replace(
        "return self.norm(x)", "time.sleep(0.03)\n        return self.norm(x)"
    )
    (timed,) = of(ask(judge, OWN, slow, mode="benchmark", budget_seconds=3, generations={"min": 2, "max": 4}), "benchmarked")
    assert timed["baselines"][0]["ratio"] > 1.5 and "clock_disagreement" not in timed["flags"], timed


def test_missing_devices_and_bad_jobs_are_infrastructure(judge: Driver) -> None:
    events = ask(judge, OWN, device="cuda")
    assert of(events, "error")[0]["code"] == "infrastructure" and events[-1] == {**events[-1], "event": "done", "ok": False}
    assert of(judge.ask({"mode": "verify"}), "error")[0]["code"] == "invalid_job"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_hosts_in_bubblewrap(judge: Driver) -> None:
    user = [] if os.getuid() == 0 else ["--unshare-user"]
    spaces = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev"]
    tool = str(Path(__file__).resolve().parents[1])
    own = ["--ro-bind", sys.prefix, sys.prefix, "--ro-bind", tool, tool]
    sandbox = ["bwrap", *user, *spaces, "--proc", "/proc", "--tmpfs", "/tmp", *own]
    events = ask(judge, OWN, sandbox=sandbox)
    assert passed(events), events
    assert of(events, "device")[0]["sandbox"] == "full"


def test_nothing_is_left_when_a_judge_ends() -> None:
    own = Driver()
    before = set(Path("/tmp").glob("ke-host-*"))
    assert passed(ask(own, OWN))
    own.close()
    # Other judges may run beside this test: what a living process stands in is theirs.
    used = {_cwd(p) for p in Path("/proc").glob("[0-9]*/cwd")}
    assert {p for p in Path("/tmp").glob("ke-host-*") if str(p) not in used} <= before
    running = Path("/proc").glob("[0-9]*/cmdline")
    children = [p for p in running if b"ke_torch.hosting.zygote" in _read(p) and str(own.process.pid) in _parent(p)]
    assert children == []


def _cwd(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _parent(path: Path) -> str:
    try:
        return (path.parent / "stat").read_text().rsplit(")", 1)[1].split()[1]
    except (OSError, IndexError):
        return ""
