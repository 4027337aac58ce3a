"""``python -m ke_torch.profile.once WAY FOLDER``: the program that a profiler watches. It runs the candidate, so it is untrusted.

It loads the candidate as a host does, from what the trusted side laid into FOLDER (`request.json`, `tensors.bin`), calls it until
everything is compiled, and then under the profiler: `pytorch` and `proton` are started from here, `ncu` watches from outside and is
told by the driver's profiler range when. What it says goes to FOLDER/out and earns no credit.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch

from ..boundary import wire
from ..boundary.tree import decode
from ..hosting import confine
from ..hosting.device import CpuDevice, CudaDevice, open_device
from ..hosting.subject import Subject, SubjectError, cast, load_files, tensors_of

WARM_CALLS = 3
PLAIN_CALLS = 15
RANGE = "ke_call"
Device = CpuDevice | CudaDevice


class Candidate:
    """The candidate with its arguments, ready to be called again and again."""

    def __init__(self, request: dict[str, Any], folder: str, out: str, device: Device) -> None:
        self.request, self.device = request, device
        fd = os.open(os.path.join(folder, "tensors.bin"), os.O_RDONLY)
        try:
            given = wire.read_tensors(fd)[1]
        finally:
            os.close(fd)
        parts: dict[str, list[torch.Tensor]] = {}
        for name in ("files", "init", "weights", "inputs"):
            parts[name], given = given[: request["counts"][name]], given[request["counts"][name] :]
        load_files(out, [(n, bytes(wire.as_bytes(t))) for n, t in zip(request["files"], parts["files"], strict=True)])
        self.subject = Subject(request["subject"], out, device)
        dtype = getattr(torch, request["dtype"]) if request["dtype"] else None
        init = decode(request["init"], [device.put(t) for t in parts["init"]], device.kind)
        self.subject.build(cast(list(init), dtype) if dtype else init, request["seed"], dtype, "eager", request["where"])
        if request["names"]:
            state = dict(zip(request["names"], (device.put(t) for t in parts["weights"]), strict=True))
            # A state that does not fit by name was made from the seed, as the judge does it.
            self.subject.load_weights(state)
        self.inputs = [device.put(t) for t in parts["inputs"]]
        self.args, self.kwargs = decode(request["tree"], self.inputs, device.kind)
        self.cotangents: list[torch.Tensor] = []

    def call(self) -> Any:
        """One call, forward alone or with its gradients, as the problem is judged."""
        subject, request = self.subject, self.request
        subject.prepare(0.0, request["destinations"])
        if not request["backward"]:
            with torch.no_grad():
                return subject.call(self.args, self.kwargs)
        if not self.cotangents:
            answer = subject.normal(subject.call(self.args, self.kwargs))
            self.cotangents = [torch.ones_like(t) for t in tensors_of(answer)]
        return subject.gradients(self.args, self.kwargs, self.cotangents)

    def sizes(self, answer: Any) -> dict[str, int]:
        """Bytes of the tensors of a call: what has to move at least, where each is read or written once."""

        def total(tensors: list[torch.Tensor]) -> int:
            return sum(t.numel() * t.element_size() for t in tensors)

        weights = [t for _, t, _ in self.subject.weights()]
        return {"inputs": total(self.inputs), "weights": total(weights), "outputs": total(tensors_of(answer))}


def quiet(candidate: Candidate) -> None:
    """Caches as the problem says, and a device that has nothing to do."""
    if candidate.request["cold"]:
        candidate.device.flush()
    candidate.device.synchronize()


def plain(candidate: Candidate) -> list[int]:
    """Times of calls without a profiler, ns, each on an idle device: its own clock there, this process's on the processor."""
    times = []
    for _ in range(PLAIN_CALLS):
        quiet(candidate)
        if isinstance(candidate.device, CudaDevice):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            candidate.call()
            end.record()
            candidate.device.synchronize()
            times.append(int(start.elapsed_time(end) * 1e6))
        else:
            begin = time.perf_counter_ns()
            candidate.call()
            times.append(time.perf_counter_ns() - begin)
    return times


def timeline(candidate: Candidate, out: str, calls: int) -> None:
    """PyTorch's profiler, each call in a range of its own; the first is the profiler's own warm-up and is not in one."""
    use = "cuda" if isinstance(candidate.device, CudaDevice) else None
    with torch.autograd.profiler.profile(use_device=use, use_kineto=True, acc_events=True) as recorded:
        for index in range(calls + 1):
            quiet(candidate)
            with torch.autograd.profiler.record_function(RANGE if index > 0 else "ke_first"):
                candidate.call()
                candidate.device.synchronize()
    recorded.export_chrome_trace(os.path.join(out, "timeline.json"))


def proton(candidate: Candidate, out: str, calls: int, backend: str | None) -> None:
    """Triton's profiler: kernels by its hook at their launch and, with the backend `instrumentation`, scopes inside of them."""
    profiler = importlib.import_module("triton.profiler")
    name = os.path.join(out, "proton" if backend is None else "scopes")
    if backend is not None:
        importlib.import_module("triton.profiler.language").enable_semantic("triton")
    session = profiler.start(name, context="shadow", data="tree", backend=backend, hook="triton")
    for _ in range(calls):
        quiet(candidate)
        # What empties the caches stands beside the scope.
        with profiler.scope(RANGE):
            candidate.call()
            candidate.device.synchronize()
    profiler.finalize(session)


def watched(candidate: Candidate) -> None:
    """One call in the driver's profiler range: what ncu was told to wait for."""
    runtime: Any = torch.cuda.cudart()
    quiet(candidate)
    runtime.cudaProfilerStart()
    candidate.call()
    candidate.device.synchronize()
    runtime.cudaProfilerStop()


WAYS: dict[str, Callable[[Candidate, str, int], None]] = {
    "pytorch": timeline,
    "proton": lambda candidate, out, calls: proton(candidate, out, calls, None),
    "scopes": lambda candidate, out, calls: proton(candidate, out, calls, "instrumentation"),
    "ncu": lambda candidate, out, calls: watched(candidate),
}


def run(way: str, folder: str, out: str) -> dict[str, Any]:
    """Loads, warms up, measures without and with the profiler."""
    with open(os.path.join(folder, "request.json"), encoding="utf8") as file:
        request = json.load(file)
    if way in ("proton", "scopes"):
        # Triton builds its driver's helper by a compiler: here, before anything of the candidate is loaded, that may be started.
        importlib.import_module("triton").runtime.driver.active.get_current_target()
    if way != "ncu":
        # ncu's own part of this process speaks over sockets.
        confine.confine(confine.Limits(**request["limits"]))
    device = open_device(request["device"], request["threads"])
    candidate = Candidate(request, folder, out, device)
    if way == "scopes":
        # Kernels that were compiled before the profiler started have no scopes in them.
        WAYS[way](candidate, out, 1)
        return {"ok": True}
    answer = None
    for _ in range(WARM_CALLS):
        answer = candidate.call()
    device.synchronize()
    times = plain(candidate) if way == "pytorch" else []
    WAYS[way](candidate, out, request["calls"])
    return {"ok": True, "plain_ns": times, "bytes": candidate.sizes(answer), "device": device.name}


def main(argv: list[str]) -> int:
    """See the module; the exit code says whether it was profiled."""
    way, folder = argv
    out = os.path.join(folder, "out")
    try:
        result = run(way, folder, out)
    except Exception as error:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        kind = "load" if isinstance(error, SubjectError) else type(error).__name__
        result = {"ok": False, "kind": kind, "error": "".join(lines)[-4000:]}
    with open(os.path.join(out, f"{way}-result.json"), "w", encoding="utf8") as file:
        json.dump(result, file)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
