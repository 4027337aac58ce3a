"""C++ candidates from source to verdict, and builds beside each other. CUDA sources need a device: test/gpu/cuda.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from driver import TOOL, Driver, codes, of, passed

from ke_torch.formats import FormatError, aten, kernelbench
from ke_torch.formats.native import parse_candidate

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
SECONDS = 300
PROBLEM = """
import torch
class Model(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.linear = torch.nn.Linear(n, 4)
    def forward(self, x):
        return torch.relu(self.linear(x))
def get_inputs(): return [torch.randn(33, 64)]
def get_init_inputs(): return [64]
"""
# Without torch's headers but the dispatcher's tensor: these take the compiler least.
LAYER = """#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
at::Tensor run(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b, int64_t depth) {
  at::Tensor y = at::empty({x.size(0), w.size(0)}, x.options());
  const float *p = x.const_data_ptr<float>(), *q = w.const_data_ptr<float>(), *c = b.const_data_ptr<float>();
  float* out = y.mutable_data_ptr<float>();
  const int64_t columns = w.size(0);
  for (int64_t i = 0; i < x.size(0); i++)
    for (int64_t j = 0; j < columns; j++) {
      float sum = 0;
      for (int64_t k = 0; k < depth; k++) sum += p[i * depth + k] * q[j * depth + k];
      sum += c[j];
      out[i * columns + j] = sum > 0 ? sum : 0;
    }
  return y;
}
"""
ADD = """#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/mul.h>
at::Tensor run(const at::Tensor& a, const at::Tensor& b, const at::Scalar& alpha) { return at::add(a, at::mul(b, alpha)); }
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


def job(source: str, cache: Path, **more: Any) -> dict[str, Any]:
    candidate = {"source": source, "language": "cpp", "flags": ["-O2"]}
    problem = {"format": "kernelbench", "source": PROBLEM}
    return {"mode": "verify", "problem": problem, "candidate": candidate, "module_cache": str(cache), "trials": 4, **more}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("modules")


def test_a_layer_gets_its_weights_and_the_constructors_arguments(judge: Driver, cache: Path) -> None:
    events = judge.ask(job(LAYER, cache), SECONDS)
    assert passed(events), events
    assert not codes(events)
    assert of(events, "built")[0]["cached"] is False
    assert of(events, "weights")[0]["by"] == "state_dict"
    assert of(events, "dispatched")[0]["work"] == "own"
    again = judge.ask(job(LAYER, cache), SECONDS)
    assert passed(again), again
    assert of(again, "built")[0]["cached"] is True


def test_a_wrong_answer_is_found(judge: Driver, cache: Path) -> None:
    events = judge.ask(job(LAYER.replace("sum += c[j];", ""), cache), SECONDS)
    assert not passed(events)
    assert "value_mismatch" in codes(events)


def test_errors_have_the_candidates_lines(judge: Driver, cache: Path) -> None:
    events = judge.ask(job(LAYER.replace("float sum = 0;", "float sum = 0"), cache), SECONDS)
    (error,) = of(events, "compile_error")
    assert error["line"] in (10, 11)
    assert error["message"].startswith("candidate.cpp:1")
    assert not of(events, "verified")


def test_a_compiler_that_does_not_end_is_ended(judge: Driver, cache: Path) -> None:
    endless = "template <int N> struct T { typename T<N + 1>::type x; };\n" + LAYER
    slow = job(endless.replace("return y;", "T<0> t; return y;") + "// slow", cache, build_seconds=1)
    slow["candidate"]["flags"] = ["-O2", "-ftemplate-depth=100000000"]
    events = judge.ask(slow, SECONDS)
    assert codes(events) == ["compile_timeout"], events


def test_an_operators_arguments_come_in_their_order(judge: Driver, cache: Path) -> None:
    given = job(ADD, cache)
    given["problem"] = {"format": "aten", "overload": "add.Tensor", "samples": 3}
    events = judge.ask(given, SECONDS)
    assert passed(events), events


def test_what_defines_no_run_is_refused_before_it_is_built() -> None:
    problem = kernelbench.parse_problem(PROBLEM, "layer")
    with pytest.raises(FormatError, match="no function run"):
        parse_candidate("// run(x) is missing\nint other() { return 0; }", problem, "cpp")
    with pytest.raises(FormatError, match="no language"):
        parse_candidate(LAYER, problem, "rust")
    operator = parse_candidate(ADD, aten.parse_problem("add.Tensor", "float32", 1), "cpp")
    assert operator.native is not None and b"'add.Tensor'" in operator.files[0][1]


def test_cuda_without_a_device_says_so(judge: Driver, cache: Path) -> None:
    given = job(LAYER, cache)
    given["candidate"]["language"] = "cuda"
    (error,) = of(judge.ask(given, SECONDS), "error")
    assert error["code"] == "unsupported"
    assert "CUDA device" in error["message"]


BUILD = """
import json, sys
from pathlib import Path
from ke_torch.compile.modules import Request, build
from ke_torch.judging.launch import Zygote, environment
zygote = Zygote((), environment("cpu", 1, {}), ("ke_torch.hosting.host",))
made = build(Request(sys.stdin.read(), "cpp", "", ("-O1",)), zygote, {"uid": 0}, 200, Path(sys.argv[1]))
zygote.close()
print(json.dumps({"cached": made.cached, "digest": made.digest, "bytes": len(made.data)}))
"""


def test_builds_beside_each_other_make_one_module(tmp_path: Path) -> None:
    source = (
        "int twice(int x) { return 2 * x; }\n#include <ATen/core/Tensor.h>\nat::Tensor run(const at::Tensor& x) { return x; }\n"
    )

    def one(_: int) -> dict[str, Any]:
        argv = [sys.executable, "-c", BUILD, str(tmp_path)]
        done = subprocess.run(argv, input=source, env={**os.environ, "PYTHONPATH": str(TOOL)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(one, range(4)))
    assert sorted(m["cached"] for m in made) == [False, True, True, True]
    assert len({m["digest"] for m in made}) == 1 and len({m["bytes"] for m in made}) == 1
    # A module that was cut short is not trusted.
    place = tmp_path / made[0]["digest"]
    (place / "candidate.so").write_bytes(b"")
    assert one(0)["cached"] is False
    # Nothing half-made is left beside it.
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([made[0]["digest"], f"{made[0]['digest']}.lock"])


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_a_build_reads_what_its_candidate_could_read(judge: Driver, cache: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h"
    secret.write_text("the answer to everything\n", encoding="utf8")
    prefixes = sorted({sys.prefix, sys.base_prefix, str(TOOL)})
    shown = [a for p in prefixes if not p.startswith("/usr") for a in ("--ro-bind", p, p)]
    sandbox = [
        "bwrap", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink",
        "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *shown, "--unshare-net", "--unshare-pid",
    ]  # fmt: skip
    events = judge.ask(job(f'#include "{secret}"\n' + LAYER, cache, sandbox=sandbox), SECONDS)
    (error,) = of(events, "compile_error")
    assert "No such file" in error["message"]
    assert "everything" not in json.dumps(events)
