"""The judge's side of one host: requests, timed calls by the judge's own clock, and what became of it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

import torch

from ..boundary import control, mailbox, wire
from .launch import LaunchError, Zygote
from .process import NO_MEMORY, HostProcess
from .replies import Answer, Batch, Call, HostFailure

# What letting go may take, seconds; and boxes that are kept then, bytes.
LETTING_GO, SMALL_BOX = 20.0, 64 << 20


class HostClient(HostProcess):
    """One host process, stopped whenever it is not its turn."""

    def __init__(
        self, zygote: Zygote, role: str, name: str, request: dict[str, Any], seconds: dict[str, float],
        home: torch.device | None = None,
    ) -> None:  # fmt: skip
        super().__init__(zygote, request)
        self.role, self.name, self.seconds = role, name, seconds
        # Where the judge holds tensors; boxes are device memory that passes them, where that works.
        self.home = torch.device("cpu") if home is None else home
        self.boxed, self.why_not_boxed = False, ""
        self.boxes: list[mailbox.Box] = []
        self.inbox: mailbox.Box | None = None
        self.outbox: mailbox.Box | None = None
        self.sequence = 0
        # By the judge's clock; the first call of a process compiles.
        self.shortest_ns = 1 << 62
        self.last: dict[str, Any] = {}
        self.hello = self._await_ready()
        self.queued = bool(self.hello.get("queued"))
        if self.home.type != "cpu":
            self._try_box()

    def _try_box(self) -> None:
        try:
            self.outbox = self._box(1)
            answer = self.request("box", None)
            if "ok" in answer:
                (found,) = self._take(answer["ok"], 1 << 20)[1]
                self.boxed = found.tolist() == [0, 1, 2, 3]
            else:
                self.why_not_boxed = str(answer.get("why_not"))
        except (wire.WireError, HostFailure, TypeError, ValueError) as error:
            self.why_not_boxed = str(error)[:300]

    def _box(self, nbytes: int) -> mailbox.Box:
        made = mailbox.Box(nbytes, self.home)
        self.boxes.append(made)
        return made

    def _await_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + self.seconds["load"]
        while self.words[control.STATE * 8] != control.STATE_READY:
            if not self.alive() or time.monotonic() > deadline:
                text = self.drain()
                self.close()
                raise LaunchError(f"the {self.role} host did not start: {text[-1500:]}")
            time.sleep(0.001)
        # Where it is allowed, hosts run before ordinary work, all alike.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, -10)
        answer = self._answer()
        if "error" in answer:
            self.close()
            raise LaunchError(f"{self.role}: {answer['error']}")
        return answer

    def _answer(self) -> dict[str, Any]:
        try:
            return self.page.get_answer()
        except (ValueError, UnicodeDecodeError) as error:
            raise self._mine(
                HostFailure("protocol_violation", f"the host's answer is no JSON object: {str(error)[:200]}")
            ) from error

    def _wait(self, word: int, value: int, deadline: float, what: str) -> None:
        if not control.spin_until(self.words, word, value, self.alive, deadline):
            raise self._mine(self.failure(self.alive(), what))

    def _mine(self, failure: HostFailure) -> HostFailure:
        failure.host = self
        return failure

    def _place(self, request: dict[str, Any], tensors: Sequence[torch.Tensor]) -> None:
        """Tensors into device memory that the host may open, or into the file."""
        if not self.boxed or len(tensors) > mailbox.MAX_CARRIED or all(t.device.type == "cpu" for t in tensors):
            wire.write_tensors(self.inputs_fd, [t.cpu() for t in tensors])
            return
        need = mailbox.layout(tensors)[1]
        if self.inbox is None or self.inbox.nbytes < need:
            self.inbox = self._box(need)
        records = mailbox.put(self.inbox.data, tensors)
        torch.cuda.synchronize(self.home)
        request["given_box"] = {**self.inbox.json, "tensors": records}

    def _begin(self, request: dict[str, Any], tensors: Sequence[torch.Tensor] | None) -> int:
        if tensors is not None:
            self._place(request, tensors)
        if self.outbox is not None and (self.boxed or request["op"] == "box"):
            request["box"] = self.outbox.json
        self.page.put_request(request)
        self.sequence += 1
        self._signal(signal.SIGCONT)
        self.words[control.COMMAND * 8] = self.sequence
        return self.sequence

    def _checked(self, what: str) -> dict[str, Any]:
        answer = self._answer()
        if "error" in answer:
            text = str(answer["error"])
            code = "load_failed" if what in ("load", "build") else "exception"
            if any(word in text for word in NO_MEMORY) or answer.get("code") == "out_of_memory":
                code = "out_of_memory"
            elif "CUDA error" in text or "AcceleratorError" in str(answer.get("kind")):
                code = "device_fault"
            raise self._mine(HostFailure(code, text[-4000:]))
        return answer

    def request(self, op: str, tensors: Sequence[torch.Tensor] | None = None, **fields: Any) -> dict[str, Any]:
        """One command that is not timed.

        @raises HostFailure when there is no answer, or it is an error.
        """
        sequence = self._begin({"op": op, **fields}, tensors)
        self._wait(control.ANSWERED, sequence, time.monotonic() + self.seconds["load"], op)
        self._signal(signal.SIGSTOP)
        if tensors:
            # The host has its own copies; these pages are memory of the machine.
            os.ftruncate(self.inputs_fd, 0)
        return self._checked(op)

    def call(self, key: int, tensors: Sequence[torch.Tensor] | None = None, **fields: Any) -> Call:
        """One timed call: contents, their last part by `key`, go, done. The host is stopped the moment it says done."""
        words, found, clock = self.words, Call(), time.perf_counter_ns
        deadline = time.monotonic() + self.seconds["call"]
        start = clock()
        sequence = self._begin({"op": "call", **fields}, tensors)
        self._wait(control.ARMED, sequence, deadline, "call")
        found.arm_ns = clock() - start
        words[control.KEY * 8] = key & control.MASK
        words[control.GO * 8] = sequence
        self._wait(control.PATCHED, sequence, deadline, "call")
        second, done = control.SECOND | sequence, control.DONE * 8
        start = clock()
        words[control.GO * 8] = second
        for _ in range(100):
            if words[done] == sequence:
                break
        else:
            self._wait(control.DONE, sequence, deadline, "call")
        found.judge_ns = clock() - start
        self._signal(signal.SIGSTOP)
        self.shortest_ns = min(self.shortest_ns, found.judge_ns)
        return found

    def batch(self, keys: Sequence[int], limit_ns: int, **fields: Any) -> Batch:
        """Queued calls, one after the other: a key is shown only when the call before has ended on the device."""
        words, found, clock = self.words, Batch(), time.perf_counter_ns
        deadline = time.monotonic() + self.seconds["call"] + 2e-9 * limit_ns
        sequence = self._begin({"op": "batch", "count": len(keys), "limit_ns": limit_ns, **fields}, None)
        self._wait(control.QUEUED, sequence, deadline, "call")
        answered, reached, release = control.ANSWERED * 8, control.REACHED * 8, control.RELEASE * 8
        first = clock()
        for k, key in enumerate(keys):
            words[control.KEY * 8] = key & control.MASK
            wanted, turns = sequence << 16 | k + 1, 0
            start = clock()
            words[release] = wanted
            while words[reached] != wanted and words[answered] != sequence:
                turns += 1
                if turns & 4095 == 0 and (time.monotonic() > deadline or not self.alive()):
                    raise self._mine(self.failure(self.alive(), "call"))
            found.judge_ns.append(clock() - start)
            if words[answered] == sequence:
                break
        over = clock()
        self._wait(control.ANSWERED, sequence, deadline, "call")
        found.total_ns, found.finish_ns = clock() - first, clock() - over
        self._signal(signal.SIGSTOP)
        answer = self._checked("call")
        try:
            found.expired = bool(answer["expired"])
            found.device_ns = [int(v) for v in answer["device_ns"]]
            found.null_ns = [int(v) for v in answer["null_ns"]]
            found.host_ns = int(answer["host_ns"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._mine(HostFailure("protocol_violation", f"the times of queued calls cannot be read: {error}")) from error
        if not found.expired and ({len(found.device_ns), len(found.null_ns), len(found.judge_ns)} != {len(keys)}):
            raise self._mine(HostFailure("protocol_violation", f"{len(found.device_ns)} times of {len(keys)} queued calls"))
        return found

    def kept(self, index: int, limit: int) -> Answer:
        """The answer of one of the last batch's calls, as it was when the call had ended."""
        return self._answered(self.request("kept", None, index=index), limit)

    def finish(self, found: Call, deadline: float | None = None) -> None:
        """Lets the host end the last call's command, and takes its own times of it."""
        deadline = time.monotonic() + self.seconds["call"] if deadline is None else deadline
        start = time.perf_counter_ns()
        self._signal(signal.SIGCONT)
        self._wait(control.ANSWERED, self.sequence, deadline, "call")
        found.finish_ns = time.perf_counter_ns() - start
        self._signal(signal.SIGSTOP)
        self.last = self._checked("call")
        words = self.words
        found.inner_ns, found.device_ns, found.tail_ns = (
            int(words[w * 8]) for w in (control.INNER_NS, control.DEVICE_NS, control.TAIL_NS)
        )

    def collect(self, found: Call, limit: int, **fields: Any) -> Answer:
        """The answer of the last call, at most `limit` bytes of it."""
        deadline = time.monotonic() + self.seconds["call"]
        start = time.perf_counter_ns()
        self.finish(found, deadline)
        sequence = self._begin({"op": "collect", **fields}, None)
        self._wait(control.ANSWERED, sequence, deadline, "call")
        found.collect_ns = time.perf_counter_ns() - start
        self._signal(signal.SIGSTOP)
        return self._answered(self._checked("call"), limit)

    def _answered(self, answer: dict[str, Any], limit: int) -> Answer:
        try:
            records, tensors = self._take(answer, limit)
            outputs, probes = int(answer["outputs"]), int(answer["probes"])
            split = len(tensors) - probes
            if not 0 <= outputs <= split <= len(tensors):
                raise ValueError("counts")
            return Answer(
                answer["tree"], records[:outputs], tensors[:outputs], tensors[outputs:split], tensors[split:],
                [str(p)[:200] for p in answer["patched"]], {str(k): int(v) for k, v in dict(answer["threads"]).items()},
            )  # fmt: skip
        except torch.cuda.OutOfMemoryError as error:
            raise mailbox.DeviceFull(f"no room for a copy of an answer: {str(error)[:300]}") from error
        except (wire.WireError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise self._mine(
                HostFailure("protocol_violation", f"what the host answered cannot be read: {str(error)[:300]}")
            ) from error

    def _take(self, answer: dict[str, Any], limit: int) -> tuple[list[wire.Record], list[torch.Tensor]]:
        """Private copies of the tensors that an answer is about."""
        if "need" in answer:
            need = int(answer["need"])
            if need > limit + (1 << 21):
                raise wire.WireError(f"{need} bytes of tensors, of at most {limit}")
            self.outbox = self._box(need)
            answer = self.request("hand", None)
        if "tensors" not in answer:
            records, tensors = wire.read_tensors(self.outputs_fd, limit)
            os.ftruncate(self.outputs_fd, 0)
            return records, [t.to(self.home) for t in tensors]
        assert self.outbox is not None
        tensors = [mailbox.take(self.outbox.data, record) for record in answer["tensors"]]
        records = [
            wire.Record(t.dtype, tuple(t.shape), 0, t.numel() * t.element_size(), int(r[3]))
            for t, r in zip(tensors, answer["tensors"], strict=True)
        ]
        torch.cuda.synchronize(self.home)
        if sum(r.nbytes for r in records) > limit:
            raise wire.WireError(f"more than {limit} bytes of tensors")
        return records, tensors

    def given(self, answer: dict[str, Any], limit: int) -> list[torch.Tensor]:
        """The tensors that a request's answer is about."""
        try:
            return self._take(answer, limit)[1]
        except (wire.WireError, OSError, KeyError, TypeError, ValueError, IndexError) as error:
            raise self._mine(HostFailure("protocol_violation", str(error)[:300])) from error

    def recycle(self) -> list[str]:
        """Has it let go of its problem; answers what is left of that, which ends its use. For trusted subjects only."""
        kept, self.seconds = self.seconds, dict.fromkeys(self.seconds, LETTING_GO)
        try:
            left = [str(what) for what in self.request("recycle")["left"]]
        except (HostFailure, KeyError, TypeError) as error:
            return [str(error)[:300]]
        finally:
            self.seconds = kept
        self.free(SMALL_BOX)
        self.text, self.text_total = b"", 0
        return left

    def free(self, larger: int) -> None:
        """Frees boxes of more bytes. For trusted hosts only: they open one only while they copy."""
        for box in [b for b in self.boxes if b.nbytes > larger]:
            box.free()
            self.boxes.remove(box)
            self.inbox = None if self.inbox is box else self.inbox
            if self.outbox is box:
                self.outbox = self._box(1)

    def adopt(self, role: str, name: str, seconds: dict[str, float]) -> HostClient:
        """The same process in another part."""
        self.role, self.name, self.seconds, self.shortest_ns = role, name, seconds, 1 << 62
        return self

    def close(self) -> None:
        """Ends it."""
        super().close()
        for box in self.boxes:
            box.free()
        self.boxes.clear()
