"""A host: runs one subject on the inputs it is given. Everything after `load` may be untrusted code in this process.

It knows no reference answer (as a candidate's host), no tolerance, no seed of inputs and no verdict.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from typing import Any

import torch

from . import confine, control, wire
from .answers import Flattened, plain, probe
from .contents import Contents
from .device import CpuDevice, CudaDevice, open_device, poison, precision_flags
from .dispatch import record_dispatch
from .integrity import Watch
from .provide import provide_inputs
from .subject import Subject, SubjectError, cast, load_files, tensors_of
from .tree import decode, encode

FD_CONTROL, FD_INPUTS, FD_OUTPUTS = 3, 4, 5
_sleep, _write_tensors = time.sleep, wire.write_tensors
_active = threading.active_count
_spin, _tasks, _listdir = control.spin_until, "/proc/self/task", os.listdir


def _reason(error: BaseException) -> str:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return "".join(lines)[-4000:]


class Host:
    """Answers the judge's commands."""

    def __init__(self, folder: str, page: control.Control, device: CpuDevice | CudaDevice) -> None:
        self.folder, self.page, self.device = folder, page, device
        self.words = page.words()
        self.watch = Watch()
        self.subject: Subject | None = None
        self.contents = Contents(device)
        self.tree: Any = None
        self.answer: Any = None
        self.pointers: set[int] = set()
        self.probes: list[torch.Tensor] = []
        self.census: dict[str, int] = {}

    def serve(self) -> int:
        """The loop; ends only with the process."""
        seen = 0
        while True:
            sequence = self.words[control.COMMAND * 8]
            if sequence == seen:
                _sleep(0.0003)
                continue
            seen = sequence
            request = self.page.get_request()
            try:
                answer = getattr(self, f"do_{request['op']}")(request, sequence)
            except Exception as error:
                answer = {"error": _reason(error), "kind": type(error).__name__}
                if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
                    answer["code"] = "out_of_memory"
            self.page.put_answer(answer)
            if request["op"] == "call":
                self.words[control.ARMED * 8] = sequence
                self.words[control.PATCHED * 8] = sequence
                self.words[control.DONE * 8] = sequence
            self.words[control.ANSWERED * 8] = sequence

    def given(self) -> list[torch.Tensor]:
        """The tensors that the judge placed."""
        return wire.read_tensors(FD_INPUTS)[1]

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """The call's arguments on the live tensors."""
        args, kwargs = decode(self.tree, self.contents.live, self.device.kind)
        return list(args), dict(kwargs)

    def do_load(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Imports the source."""
        load_files(self.folder, [(n, bytes(wire.as_bytes(t))) for n, t in zip(request["files"], self.given(), strict=True)])
        self.subject = Subject(request["subject"], self.folder, self.device)
        return {"ok": True, "device": self.device.describe(), "missing": self.device.missing}

    def do_build(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Makes the module."""
        assert self.subject is not None
        tensors = [self.device.put(t) for t in self.given()] if request["given"] else []
        dtype = getattr(torch, request["dtype"]) if request.get("dtype") else None
        arguments = decode(request["init"], tensors, self.device.kind)
        if dtype is not None:
            arguments = cast(list(arguments), dtype) if request.get("cast_init") else arguments
        self.subject.build(arguments, request["seed"], dtype, request.get("wrap", "eager"))
        return {"ok": True, "flags": precision_flags()}

    def do_provide(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Makes inputs (or a constructor's arguments) by the problem's own functions."""
        assert self.subject is not None
        tensors: list[torch.Tensor] = []
        found, notes = provide_inputs(self.subject, request)
        tree = encode(found, tensors)
        _write_tensors(FD_OUTPUTS, [plain(t) for t in tensors])
        return {"tree": tree, **notes}

    def do_weights(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Hands out the module's state."""
        assert self.subject is not None
        state = self.subject.weights()
        _write_tensors(FD_OUTPUTS, [plain(t) for _, t, _ in state])
        return {"names": [n for n, _, _ in state], "parameters": [p for _, _, p in state]}

    def do_load_weights(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Takes a state, strictly; into the same memory, with the version counters that go with a change."""
        assert self.subject is not None
        state = dict(zip(request["names"], (self.device.put(t) for t in self.given()), strict=True))
        return {"why_not": self.subject.load_weights(state)}

    def do_draws(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Takes inputs: the tensors of several draws of one structure, one after the other."""
        tensors, each = self.given(), request["each"]
        draws = [tensors[k * each : (k + 1) * each] for k in range(request["draws"])]
        if request.get("double"):
            draws = [[cast(t, torch.float64) for t in draw] for draw in draws]
        self.tree = request["tree"]
        self.contents.load(draws, request["roles"])
        return {"ok": True}

    def do_call(self, request: dict[str, Any], sequence: int) -> dict[str, Any]:
        """One call of the subject, in four steps: contents, last part of the contents, the call, and nothing more."""
        assert self.subject is not None
        subject, words, device = self.subject, self.words, self.device
        self.answer = None
        self.contents.apply(request["recipe"])
        args, kwargs = self.arguments()
        if request.get("double"):
            args, kwargs = cast(args, torch.float64), cast(kwargs, torch.float64)
        backward = request.get("backward", False)
        cotangents = [device.put(t) for t in self.given()] if request.get("cotangents") else []
        if request.get("double"):
            cotangents = cast(cotangents, torch.float64)
        subject.prepare(float("nan"), request.get("destinations", ()))
        torch.manual_seed(request["seed"])
        poison(device.device, request.get("poison", ()))
        if request.get("flush"):
            device.flush()
        device.synchronize()
        before = len(_listdir(_tasks))
        words[control.ARMED * 8] = sequence
        if not _spin(words, control.GO, sequence, lambda: True, time.monotonic() + 600):
            return {"error": "the judge never said go", "kind": "TimeoutError"}
        self.contents.patch(words[control.KEY * 8])
        device.synchronize()
        words[control.PATCHED * 8] = sequence
        second = control.SECOND | sequence
        while words[control.GO * 8] != second:
            pass

        def call() -> Any:
            if backward:
                return subject.gradients(args, kwargs, cotangents)
            with torch.no_grad():
                return subject.call(args, kwargs)

        self.answer = device.timed(call, words, control.DONE * 8, sequence)
        self.probes = probe(self.answer)
        self.census = {"before": before, "after": len(_listdir(_tasks)), "python": _active()}
        inner, own, tail = device.times()
        words[control.INNER_NS * 8], words[control.DEVICE_NS * 8], words[control.TAIL_NS * 8] = inner, own, tail
        return {"ok": True}

    def do_collect(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Hands out the last call's answer, and where asked the inputs as they are now."""
        assert self.subject is not None
        held = [*self.contents.live, *(t for _, t, _ in self.subject.weights())]
        flat = Flattened(self.device.kind, held, self.pointers)
        value = self.answer if request.get("backward") else self.subject.normal(self.answer)
        tree = flat.add(value)
        outputs = len(flat.tensors)
        if not request.get("keep"):
            self.pointers = flat.pointers
        if request.get("inputs"):
            flat.tensors += [plain(t) for t in self.contents.live]
            flat.flags += [0] * len(self.contents.live)
        flat.tensors += self.probes
        flat.flags += [0] * len(self.probes)
        _write_tensors(FD_OUTPUTS, flat.tensors, flat.flags)
        return {
            "tree": tree,
            "outputs": outputs,
            "probes": len(self.probes),
            "threads": self.census,
            "patched": self.watch.changed()[:32],
        }

    def do_profile(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """What one untimed call dispatched and launched."""
        assert self.subject is not None
        subject = self.subject
        self.contents.apply({"draw": 0})
        args, kwargs = self.arguments()
        subject.prepare(0.0, request.get("destinations", ()))
        with torch.no_grad():
            return record_dispatch(lambda: subject.call(args, kwargs), self.device)

    def do_shapes(self, _: dict[str, Any], __: int) -> dict[str, Any]:
        """Sizes of the live inputs."""
        return {"bytes": sum(t.numel() * t.element_size() for t in tensors_of(self.contents.live))}


def run(request: dict[str, Any], folder: str) -> int:
    """Called in the forked child: confines itself, opens the device, serves."""
    page = control.Control(FD_CONTROL)
    os.close(FD_CONTROL)
    limits = confine.Limits(**request["limits"])
    held = confine.confine(limits)
    page.set(control.STATE, control.STATE_CONFINED)
    try:
        device = open_device(request["device"], request["threads"])
    except (RuntimeError, AssertionError) as error:
        page.put_answer({"error": f"the device does not open: {error}", "kind": "device"})
        page.set(control.STATE, control.STATE_READY)
        return 71
    page.put_answer({"ok": True, "confinement": held, "device": device.describe(), "missing": device.missing})
    host = Host(folder, page, device)
    page.set(control.STATE, control.STATE_READY)
    return host.serve()


def main() -> int:
    """A host is forked by the zygote; started by hand it has nothing to talk to."""
    print("ke_torch.host is started by ke_torch.judge and has no use of its own", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

__all__ = ["Host", "SubjectError", "run"]
