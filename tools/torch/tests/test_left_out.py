"""A compiled baseline that cannot be had: it is told with what to do, and the others stand."""

from __future__ import annotations

from driver import Driver, of

from ke_torch.judging.lacking import why_missing

PROBLEM = """
import torch
def broken(function, mode=None):
    def call(*args):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")
    return call
torch.compile = broken
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x) + 1
def get_inputs(): return [torch.randn(33, 64)]
def get_init_inputs(): return []
"""


def test_a_baseline_that_does_not_compile_in_its_first_call() -> None:
    driver = Driver()
    try:
        job = {
            "mode": "benchmark", "problem": {"format": "kernelbench", "source": PROBLEM}, "budget_seconds": 1,
            "candidate": {"source": PROBLEM + "ModelNew = Model\n"}, "baselines": ["eager", "compile"],
            "generations": {"min": 2, "max": 3},
        }  # fmt: skip
        events = driver.ask(job)
    finally:
        driver.close()
    (missing,) = of(events, "missing")
    assert missing["what"] == "baseline compile"
    assert "install g++" in missing["reason"]
    (measured,) = of(events, "benchmarked")
    assert [b["name"] for b in measured["baselines"]] == ["eager"]
    assert events[-1]["ok"] is True


def test_the_reason_is_the_last_line_and_what_to_do() -> None:
    assert why_missing("a\n\nfatal error: Python.h: No such file\n") == (
        "fatal error: Python.h: No such file; install Python's headers (apt-get install python3-dev)"
    )
    assert why_missing("Traceback\nValueError: no\n") == "ValueError: no; the other baselines stand without it"
