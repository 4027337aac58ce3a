"""Problems and candidates of the GPU tests: honest ones, which have to come out clean, and dishonest ones, which may not."""

from __future__ import annotations

SOFTMAX = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=1)
def get_inputs():
    return [torch.rand({rows}, {columns})]
def get_init_inputs():
    return []
"""

RMS_NORM = """
import torch
class Model(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(features))
    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight
def get_inputs():
    return [torch.rand({rows}, {columns})]
def get_init_inputs():
    return [{columns}]
"""

LINEAR = """
import torch
class Model(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.first = torch.nn.Linear(features, features)
        self.second = torch.nn.Linear(features, features)
    def forward(self, x):
        return torch.relu(self.second(torch.relu(self.first(x))))
def get_inputs():
    return [torch.randn({rows}, {columns})]
def get_init_inputs():
    return [{columns}]
"""

TRITON_SOFTMAX = """
import torch, triton, triton.language as tl
@triton.jit
def softmax_kernel(x, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    v = tl.load(x + row * n + at, mask=at < n, other=-float("inf"))
    e = tl.exp(v - tl.max(v, axis=0))
    tl.store(y + row * n + at, e / tl.sum(e, axis=0), mask=at < n)
class ModelNew(torch.nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        n = x.shape[1]
        softmax_kernel[(x.shape[0],)](x, y, n, BLOCK=triton.next_power_of_2(n), num_warps=8)
        return y
"""

TRITON_RMS = """
import torch, triton, triton.language as tl
@triton.jit
def rms_kernel(x, w, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    v = tl.load(x + row * n + at, mask=at < n, other=0.0)
    r = tl.rsqrt(tl.sum(v * v, axis=0) / n + 1e-6)
    tl.store(y + row * n + at, v * r * tl.load(w + at, mask=at < n, other=0.0), mask=at < n)
class ModelNew(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(features))
    def forward(self, x):
        y = torch.empty_like(x)
        n = x.shape[1]
        rms_kernel[(x.shape[0],)](x, self.weight, y, n, BLOCK=triton.next_power_of_2(n), num_warps=8)
        return y
"""

ITSELF = "{problem}\nModelNew = Model\n"

_NEW = "import torch\nclass ModelNew(torch.nn.Module):\n    def forward(self, x):\n"

JOINED_STREAMS = """
import torch
class ModelNew(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.side = torch.cuda.Stream()
    def forward(self, x):
        here, half = torch.cuda.current_stream(), x.shape[0] // 2
        self.side.wait_stream(here)
        y = torch.empty_like(x)
        y[:half] = torch.softmax(x[:half], dim=1)
        with torch.cuda.stream(self.side):
            y[half:] = torch.softmax(x[half:], dim=1)
        here.wait_stream(self.side)
        return y
"""

GRAPH = """
import torch
class ModelNew(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.graph, self.x, self.y = None, None, None
    def forward(self, x):
        if self.graph is None or self.x.data_ptr() != x.data_ptr():
            self.x = x
            torch.softmax(x, dim=1)
            torch.cuda.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.y = torch.softmax(x, dim=1)
        self.graph.replay()
        return self.y
"""

SYNCHRONISES = _NEW + "        scale = float(x.max())\n        return torch.softmax(x - scale, dim=1)\n"

WORKSPACE = """
import torch
class ModelNew(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.kept = {{}}
    def forward(self, x):
        if x.shape not in self.kept:
            self.kept[x.shape] = torch.empty_like(x)
        return torch.softmax(x, dim=1, out=self.kept[x.shape])
"""

CACHED = """
import torch
kept = {{}}
class ModelNew(torch.nn.Module):
    def forward(self, x):
        key = x.data_ptr()
        if key not in kept:
            kept[key] = torch.softmax(x, dim=1)
        return kept[key]
"""

OTHER_STREAM = """
import torch
side = torch.cuda.Stream()
class ModelNew(torch.nn.Module):
    def forward(self, x):
        with torch.cuda.stream(side):
            y = torch.softmax(x, dim=1)
        return y
"""

# It waits for its inputs, so that its answer is right in the end, but nothing waits for it.
UNJOINED = """
import torch
side = torch.cuda.Stream()
class ModelNew(torch.nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            torch.softmax(x, dim=1, out=y)
        return y
"""

# A queue that is full says that this call is timed.
KNOWS_THE_QUEUE = """
import torch
class ModelNew(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.last = None
    def forward(self, x):
        if self.last is not None and not torch.cuda.current_stream().query():
            return self.last
        self.last = torch.softmax(x, dim=1)
        return self.last
"""

COUNTS = """
import torch
class ModelNew(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.last = 0, None
    def forward(self, x):
        self.calls += 1
        if self.calls > 15:
            return self.last
        self.last = torch.softmax(x, dim=1)
        return self.last
"""

# The next contents cannot be known: all of a batch at once gives stale answers.
ALL_AT_ONCE = """
import torch
class ModelNew(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.ready = 0, []
    def forward(self, x):
        self.calls += 1
        if self.calls > 15:
            if not self.ready:
                self.ready = list(torch.softmax(torch.stack([x] * 4), dim=2))
            return self.ready.pop()
        return torch.softmax(x, dim=1)
"""

THREAD = """
import threading, torch
class ModelNew(torch.nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        stream = torch.cuda.Stream()
        def work():
            with torch.cuda.stream(stream):
                torch.softmax(x, dim=1, out=y)
        threading.Thread(target=work).start()
        return y
"""

PATCHED_EVENTS = """
import torch
real = torch.cuda.Event.elapsed_time
torch.cuda.Event.elapsed_time = lambda self, other: real(self, other) / 10
class ModelNew(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=1)
"""

# Finds the host's queue and says that its calls took a tenth of the time; no function is replaced.
FORGED_TIMES = """
import gc, torch
class ModelNew(torch.nn.Module):
    def forward(self, x):
        for queue in [o for o in gc.get_objects() if type(o).__name__ == "Queue" and hasattr(o, "_elapsed")]:
            if not hasattr(queue, "_real"):
                queue._real = queue._elapsed
                queue._elapsed = lambda a, b, real=queue._real: real(a, b) / 10
        return torch.softmax(x, dim=1)
"""

TF32 = """
import torch
torch.backends.cuda.matmul.allow_tf32 = True
{problem}
ModelNew = Model
"""

LAZY = """
import torch
class Lazy(torch.Tensor):
    pass
class ModelNew(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=1).as_subclass(Lazy)
"""

STALE = _NEW + "        return torch.empty_like(x)\n"

BIG, ODD, SMALL = {"rows": 4096, "columns": 4096}, {"rows": 1021, "columns": 3001}, {"rows": 512, "columns": 1024}

CASES: list[tuple[str, str, dict[str, int], str, str]] = [
    # name, problem, shape, candidate, expectation
    ("softmax-itself", SOFTMAX, BIG, ITSELF, "no gain"),
    ("softmax-triton", SOFTMAX, BIG, TRITON_SOFTMAX, "passes"),
    ("softmax-triton-odd", SOFTMAX, ODD, TRITON_SOFTMAX, "passes"),
    ("softmax-triton-small", SOFTMAX, SMALL, TRITON_SOFTMAX, "passes"),
    ("rms-norm-triton", RMS_NORM, {"rows": 8192, "columns": 4096}, TRITON_RMS, "passes"),
    ("softmax-joined-streams", SOFTMAX, BIG, JOINED_STREAMS, "passes"),
    ("softmax-graph", SOFTMAX, BIG, GRAPH, "passes"),
    ("softmax-synchronises", SOFTMAX, BIG, SYNCHRONISES, "passes"),
    ("softmax-workspace", SOFTMAX, BIG, WORKSPACE, "passes"),
    ("linear-itself", LINEAR, {"rows": 256, "columns": 1024}, ITSELF, "no gain"),
    ("softmax-cached", SOFTMAX, BIG, CACHED, "caught"),
    ("softmax-other-stream", SOFTMAX, BIG, OTHER_STREAM, "caught"),
    ("softmax-unjoined-stream", SOFTMAX, BIG, UNJOINED, "caught"),
    ("softmax-unjoined-stream-small", SOFTMAX, SMALL, UNJOINED, "caught"),
    ("softmax-knows-the-queue", SOFTMAX, BIG, KNOWS_THE_QUEUE, "caught"),
    ("softmax-counts-calls", SOFTMAX, BIG, COUNTS, "caught"),
    ("softmax-all-at-once", SOFTMAX, SMALL, ALL_AT_ONCE, "caught"),
    ("softmax-thread", SOFTMAX, BIG, THREAD, "caught"),
    ("softmax-patched-events", SOFTMAX, BIG, PATCHED_EVENTS, "caught"),
    ("softmax-forged-times", SOFTMAX, BIG, FORGED_TIMES, "caught"),
    ("linear-tf32", LINEAR, {"rows": 256, "columns": 1024}, TF32, "caught"),
    ("softmax-lazy", SOFTMAX, BIG, LAZY, "caught"),
    ("softmax-stale-memory", SOFTMAX, BIG, STALE, "caught"),
]
# Those that make sense without a GPU.
ANYWHERE = ("softmax-itself", "linear-itself", "softmax-cached", "softmax-counts-calls", "softmax-lazy", "softmax-stale-memory")


def texts(case: tuple[str, str, dict[str, int], str, str]) -> tuple[str, str]:
    """The problem's and the candidate's source."""
    _, problem, shape, candidate, _ = case
    text = problem.format(**shape)
    return text, candidate.replace("{{", "{").replace("}}", "}").replace("{problem}", text)
