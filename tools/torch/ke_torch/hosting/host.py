"""A host: runs one subject on the inputs it is given. Everything after `load` may be untrusted code in this process.

It knows no reference answer (as a candidate's host), no tolerance, no seed of inputs and no verdict.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
from typing import Any

import torch

from ..boundary import control, mailbox, wire
from ..boundary.tree import decode, encode
from . import confine
from .answers import Flattened, places, plain, probe, settled
from .contents import Contents
from .device import CpuDevice, CudaDevice, open_device, poison, precision_flags
from .dispatch import record_dispatch
from .integrity import Watch
from .pristine import Pristine
from .provide import provide_inputs
from .queued import Ring
from .subject import Subject, SubjectError, cast, load_files, tensors_of

FD_CONTROL, FD_INPUTS, FD_OUTPUTS = 3, 4, 5
_sleep, _write_tensors = time.sleep, wire.write_tensors
_active = threading.active_count
_seed, _clock, _no_grad = torch.manual_seed, time.perf_counter_ns, torch.no_grad
_collect_off, _collect_on = gc.disable, gc.enable
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
        self.pristine = Pristine(device, self.watch, folder)
        self.forget()

    def forget(self) -> None:
        """Nothing is loaded, given or answered."""
        self.subject: Subject | None = None
        self.contents = Contents(self.device)
        self.tree: Any = None
        self.answer: Any = None
        self.pointers: set[int] = set()
        self.probes: list[torch.Tensor] = []
        self.census: dict[str, int] = {}
        self.kept: list[tuple[Any, list[torch.Tensor], list[int]]] = []
        self.ring = Ring()
        self.pending: list[list[torch.Tensor]] = []
        self.waiting: tuple[list[torch.Tensor], list[int] | None] = ([], None)

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
            if request["op"] == "batch":
                self.words[control.QUEUED * 8] = sequence
            if request["op"] == "call":
                self.words[control.ARMED * 8] = sequence
                self.words[control.PATCHED * 8] = sequence
                self.words[control.DONE * 8] = sequence
            self.words[control.ANSWERED * 8] = sequence

    def given(self, request: dict[str, Any]) -> list[torch.Tensor]:
        """The tensors that the judge placed, as copies of this process's own."""
        box = request.get("given_box")
        if box is None:
            return wire.read_tensors(FD_INPUTS)[1]
        opened = mailbox.Opened(box, self.device.device)
        try:
            found = [mailbox.take(opened.data, record) for record in box["tensors"]]
            self.device.synchronize()
            return found
        finally:
            opened.close()

    def hand(self, request: dict[str, Any], tensors: list[torch.Tensor], flags: list[int] | None = None) -> dict[str, Any]:
        """Hands tensors to the judge: by its device memory where it gave some, else by the file."""
        box = request.get("box")
        if box is None or len(tensors) > mailbox.MAX_CARRIED:
            _write_tensors(FD_OUTPUTS, [plain(t) for t in tensors], flags)
            return {}
        need = mailbox.layout(tensors)[1]
        if need > box["bytes"]:
            self.waiting = (tensors, flags)
            return {"need": need}
        opened = mailbox.Opened(box, self.device.device)
        try:
            records = mailbox.put(opened.data, tensors, flags)
            self.device.synchronize()
        finally:
            opened.close()
        self.waiting = ([], None)
        return {"tensors": records}

    def do_hand(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Hands out what did not fit."""
        return self.hand(request, *self.waiting)

    def do_box(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Whether the judge's device memory can be used from here."""
        try:
            return {"ok": self.hand(request, [torch.arange(4, device=self.device.device)])}
        except (wire.WireError, RuntimeError, OSError, TypeError) as error:
            return {"why_not": f"{type(error).__name__}: {error}"[:300]}

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """The call's arguments on the live tensors."""
        args, kwargs = decode(self.tree, self.contents.live, self.device.kind)
        return list(args), dict(kwargs)

    def do_load(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Imports the source."""
        load_files(self.folder, [(n, bytes(wire.as_bytes(t))) for n, t in zip(request["files"], self.given(request), strict=True)])
        self.subject = Subject(request["subject"], self.folder, self.device)
        return {"ok": True, "device": self.device.describe(), "missing": self.device.missing}

    def do_recycle(self, _: dict[str, Any], __: int) -> dict[str, Any]:
        """Lets go of the subject and all that came with it; answers what is left of it nevertheless."""
        self.forget()
        self.pristine.clean()
        return {"left": self.pristine.differences()}

    def do_build(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Makes the module."""
        assert self.subject is not None
        tensors = [self.device.put(t) for t in self.given(request)] if request["given"] else []
        dtype = getattr(torch, request["dtype"]) if request.get("dtype") else None
        arguments = decode(request["init"], tensors, self.device.kind)
        if dtype is not None:
            arguments = cast(list(arguments), dtype) if request.get("cast_init") else arguments
        where = self.subject.build(arguments, request["seed"], dtype, request.get("wrap", "eager"), request.get("where", "cpu"))
        return {"ok": True, "flags": precision_flags(), "where": where}

    def do_provide(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Makes inputs (or a constructor's arguments) by the problem's own functions."""
        assert self.subject is not None
        tensors: list[torch.Tensor] = []
        found, notes = provide_inputs(self.subject, request, self.device.device)
        tree = encode(found, tensors)
        return {"tree": tree, **notes, **self.hand(request, [settled(t) for t in tensors])}

    def do_weights(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Hands out the module's state."""
        assert self.subject is not None
        state = self.subject.weights()
        handed = self.hand(request, [settled(t) for _, t, _ in state])
        return {**handed, "names": [n for n, _, _ in state], "parameters": [p for _, _, p in state]}

    def do_load_weights(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Takes a state, strictly; into the same memory, with the version counters that go with a change."""
        assert self.subject is not None
        state = dict(zip(request["names"], (self.device.put(t) for t in self.given(request)), strict=True))
        return {"why_not": self.subject.load_weights(state)}

    def do_draws(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Takes inputs: the tensors of several draws of one structure, one after the other."""
        tensors, each = self.given(request), request["each"]
        draws = [tensors[k * each : (k + 1) * each] for k in range(request["draws"])]
        if request.get("double"):
            draws = [[cast(t, torch.float64) for t in draw] for draw in draws]
        self.tree = request["tree"]
        tensors.clear()
        self.pending += draws
        if request.get("more"):
            return {"ok": True}
        draws, self.pending = self.pending, []
        self.contents.load(draws, request["roles"], request.get("lean", False))
        return {"ok": True}

    def do_rest(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Gives up the last answer, and with `inputs` those too: others need the memory."""
        self.answer, self.kept, self.probes, self.waiting = None, [], [], ([], None)
        if request["inputs"]:
            self.contents, self.ring = Contents(self.device), Ring()
        self.device.release()
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
        cotangents = [device.put(t) for t in self.given(request)] if request.get("cotangents") else []
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
        if request.get("flush") and request["recipe"].get("dense"):
            device.flush()
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

    def do_batch(self, request: dict[str, Any], sequence: int) -> dict[str, Any]:
        """Many calls behind gates: contents by the key that comes with the release, flush, call, and a copy of the answer."""
        assert self.subject is not None
        subject, device, queue, count = self.subject, self.device, self.device.queue, request["count"]
        if queue is None:
            return {"error": "this host queues no calls", "kind": "RuntimeError"}
        args, kwargs = self.arguments()
        held = places([*self.contents.live, *(t for _, t, _ in subject.weights())])
        # Memory is asked for now: doing so behind a gate may wait for it.
        like = self.kept[0][1] if self.kept else tensors_of(subject.normal(self.answer)) if self.answer is not None else []
        self.ring.reserve(count, like)
        like = []
        self.answer, self.kept, spent = None, [], 0
        device.synchronize()
        before = len(_listdir(_tasks))
        queue.begin(count)
        _collect_off()
        try:
            with _no_grad():
                for k in range(count):
                    queue.gate(k, request["limit_ns"])
                    self.contents.fill()
                    subject.prepare(float("nan"), request.get("destinations", ()))
                    _seed(request["seed"])
                    poison(device.device, request.get("poison", ()))
                    if request.get("flush"):
                        device.flush()
                    queue.null(k)
                    begin = _clock()
                    queue.start(k)
                    answer = subject.call(args, kwargs)
                    queue.end(k)
                    spent += _clock() - begin
                    flat = Flattened(device.kind, held, set(), self.ring.copier(k))
                    tree = flat.add(subject.normal(answer))
                    self.kept.append((tree, flat.tensors, flat.flags))
                    queue.over(k)
                    del answer
        except BaseException:
            queue.give_up()
            device.synchronize()
            raise
        finally:
            _collect_on()
        self.words[control.QUEUED * 8] = sequence
        ok = queue.relay(self.words, sequence, count, request["limit_ns"] * 1e-9 * 2 + 1)
        device.synchronize()
        self.census = {"before": before, "after": len(_listdir(_tasks)), "python": _active()}
        calls, nulls = queue.times(count)
        host_ns = spent // max(1, count)
        return {"ok": True, "expired": not ok, "device_ns": calls, "null_ns": nulls, "host_ns": host_ns}

    def do_kept(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Hands out the answer of one of the last queued calls."""
        tree, tensors, flags = self.kept[request["index"]]
        handed = self.hand(request, list(tensors), list(flags))
        return {**handed, "tree": tree, "outputs": len(tensors), "probes": 0, **self._census()}

    def _census(self) -> dict[str, Any]:
        return {"threads": self.census, "patched": self.watch.changed()[:32]}

    def do_collect(self, request: dict[str, Any], _: int) -> dict[str, Any]:
        """Hands out the last call's answer, and where asked the inputs as they are now."""
        assert self.subject is not None
        held = places([*self.contents.live, *(t for _, t, _ in self.subject.weights())])
        copy = None if request.get("box") is None else lambda _, tensor: settled(tensor)
        flat = Flattened(self.device.kind, held, self.pointers, copy)
        value = self.answer if request.get("backward") else self.subject.normal(self.answer)
        tree = flat.add(value)
        outputs = len(flat.tensors)
        if not request.get("keep"):
            self.pointers = flat.pointers
        if request.get("inputs"):
            flat.tensors += [t if copy else plain(t) for t in self.contents.live]
            flat.flags += [0] * len(self.contents.live)
        flat.tensors += self.probes
        flat.flags += [0] * len(self.probes)
        handed = self.hand(request, flat.tensors, flat.flags)
        return {**handed, "tree": tree, "outputs": outputs, "probes": len(self.probes), **self._census()}

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
    queued = device.queue is not None
    page.put_answer({"ok": True, "confinement": held, "device": device.describe(), "missing": device.missing, "queued": queued})
    host = Host(folder, page, device)
    page.set(control.STATE, control.STATE_READY)
    return host.serve()


def main() -> int:
    """A host is forked by the zygote; started by hand it has nothing to talk to."""
    print("ke_torch.hosting.host is started by ke_torch.judge and has no use of its own", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

__all__ = ["Host", "SubjectError", "run"]
