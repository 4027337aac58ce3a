from pathlib import Path

import pytest

from ke_torch.formats import FormatError, aten, backendbench, flashinfer, kernelbench, kernelbot
from ke_torch.judging.job import JobError, read_job

MODEL = "import torch\nclass Model(torch.nn.Module): pass\ndef get_inputs(): return []\ndef get_init_inputs(): return []\n"
DEFINITION = {
    "name": "scale",
    "axes": {"n": {"type": "var"}, "m": {"type": "const", "value": 4}, "k": {"type": "expr", "expression": "n * m + 1"}},
    "inputs": {"x": {"shape": ["n", "m"], "dtype": "float32"}, "s": {"shape": None, "dtype": "float32"}},
    "outputs": {"y": {"shape": ["n", "m"], "dtype": "float32"}},
    "reference": "def run(x, s):\n    return x * s\n",
}
WORKLOAD = {"axes": {"n": 3}, "inputs": {"x": {"type": "random"}, "s": {"type": "scalar", "value": 2.0}}, "uuid": "w"}


def test_kernelbench_is_never_executed(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    problem = kernelbench.parse_problem(MODEL + f"open({str(flag)!r}, 'w')\n", "p")
    assert problem.subject["entry"] == "Model" and not flag.exists()


def test_comments_and_layout_leave_the_digest_alone() -> None:
    one, two = (
        kernelbench.parse_problem(MODEL, "a"),
        kernelbench.parse_problem("# note\n" + MODEL.replace(": pass", ":\n    pass"), "b"),
    )
    assert one.digest == two.digest != kernelbench.parse_problem(MODEL + "x = 1\n", "c").digest


@pytest.mark.parametrize("text", ["class Model: pass", "def (", "\0"])
def test_what_is_no_problem_is_told(text: str) -> None:
    with pytest.raises(FormatError):
        kernelbench.parse_problem(text, "p")


def test_flashinfer_binds_axes() -> None:
    problem = flashinfer.parse_problem(DEFINITION, [{"definition": "scale", "workload": WORKLOAD, "solution": None}], None)
    (workload,) = problem.workloads
    assert workload.tensors[0].shape == (3, 4) and workload.tensors[1].value == 2.0
    assert workload.destinations == (((3, 4), "float32"),)


def test_flashinfer_axes_are_arithmetic_not_code() -> None:
    bad = {**DEFINITION, "axes": {"n": {"type": "var"}, "m": {"type": "expr", "expression": "__import__('os').getpid()"}}}
    with pytest.raises(FormatError):
        flashinfer.parse_problem(bad, [WORKLOAD], None)


def test_flashinfer_solutions() -> None:
    problem = flashinfer.parse_problem(DEFINITION, [WORKLOAD], None)
    spec = {"language": "triton", "entry_point": "k.py::go"}
    solution = {"spec": spec, "sources": [{"path": "k.py", "content": "def go(x, s, y): pass"}]}
    assert flashinfer.parse_solution(solution, problem).subject["passing"] is True
    with pytest.raises(FormatError):
        flashinfer.parse_solution({**solution, "spec": {**spec, "language": "cuda"}}, problem)


def test_traces_are_parsed_not_evaluated() -> None:
    text = """Operator: aten.add.Tensor
cnt: 2, ((T([512, 768], f16), T([768], f16, [1])), {'alpha': 2})
cnt: 1, ((T([2], bf16), -1.5, inf), {})
cnt: 1, ((__import__('os').system('true'),), {})
Operator: aten.sum.dim_IntList
cnt: 1, ((T([4, 5], i64), [0, 1], True), {'dtype': torch.float32})
"""
    problems, skipped = backendbench.parse_trace(text)
    assert sorted(problems) == ["add.Tensor", "sum.dim_IntList"] and len(skipped) == 1
    first = problems["add.Tensor"].workloads[0]
    assert [t.shape for t in first.tensors] == [(512, 768), (768,)] and first.tensors[0].dtype == "float16"


def test_backendbench_folders(tmp_path: Path) -> None:
    (tmp_path / "add__Tensor").mkdir()
    (tmp_path / "add__Tensor" / "add__Tensor_implementation_v1.py").write_text("x")
    (tmp_path / "relu").mkdir()
    found, skipped = backendbench.implementations(tmp_path)
    assert list(found) == ["add.Tensor"] and skipped == [("relu", "no implementation file")]


def test_operators_that_work_in_place_are_refused() -> None:
    with pytest.raises(FormatError):
        aten.parse_problem("add_.Tensor", "float32", 1)
    with pytest.raises(FormatError):
        aten.parse_problem("os.system('x')", "float32", 1)


def test_kernelbot_tasks(tmp_path: Path) -> None:
    (tmp_path / "reference.py").write_text("def generate_input(size, seed): pass\ndef ref_kernel(data): pass\n")
    task = {
        "lang": "py",
        "files": [{"name": "submission.py", "source": "@SUBMISSION@"}, {"name": "reference.py", "source": "reference.py"}],
        "tests": [{"size": 8, "seed": 1}],
        "benchmarks": [{"size": 16, "seed": 1}],
    }
    problem = kernelbot.parse_problem(task, tmp_path)
    assert [w.timed for w in problem.workloads] == [False, True]
    candidate = kernelbot.parse_candidate("def custom_kernel(data): pass", problem)
    assert [n for n, _ in candidate.files] == ["submission.py"]


@pytest.mark.parametrize(
    "change", [{"mode": "x"}, {"device": "tpu"}, {"surprise": 1}, {"baselines": ["magic"]}, {"problem": {}}, {"candidate": None}]
)
def test_wrong_jobs_are_told(change: dict[str, object]) -> None:
    good = {"problem": {"format": "kernelbench", "source": MODEL}, "candidate": {"source": "class ModelNew: pass"}}
    assert read_job(good).device == "cpu"
    with pytest.raises((JobError, FormatError)):
        read_job({**good, **change})
