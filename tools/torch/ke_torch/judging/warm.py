"""What is kept from job to job: warm processes, the reference and baseline hosts of the problem that was asked about last,
and hosts that nothing is left in, for the next one.
"""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch

from .client import HostClient
from .draws import Draw
from .job import Job
from .launch import Zygote, environment
from .process import start_key

# What torch.compile imports when it is first called, seconds of it.
COMPILER = [
    "torch._dynamo",
    "torch._inductor.compile_fx",
    "torch._inductor.kernel.mm",
    "torch._inductor.codegen.cuda_combined_scheduling",
]
# The most hosts that wait for a problem: on a device each takes half a gigabyte of it.
MOST_SPARE = 8


@dataclass
class Weights:
    """The state that all hosts have."""

    names: list[str] = field(default_factory=list)
    parameters: list[bool] = field(default_factory=list)
    tensors: list[torch.Tensor] = field(default_factory=list)


@dataclass
class Warm:
    """Trusted hosts of one problem with their weights. Inputs are drawn anew in every job; no candidate has run in these."""

    key: str
    build_seed: int
    init: Draw = field(default_factory=lambda: Draw({"u": []}, []))
    weights: Weights = field(default_factory=Weights)
    # Where modules are made: on the device, if the reference can be.
    where: str = "cpu"
    no_oracle: str = ""
    hosts: dict[str, HostClient] = field(default_factory=dict)
    spoiled: bool = False

    def take(self, name: str) -> HostClient | None:
        """A host that still runs."""
        host = self.hosts.get(name)
        if host is None:
            return None
        if host.closed or not host.alive() or host.worn():
            self.drop(host)
            return None
        return host

    def drop(self, host: HostClient) -> None:
        """Ends one."""
        self.hosts = {n: h for n, h in self.hosts.items() if h is not host}
        host.close()

    def close(self) -> None:
        """Ends all."""
        end_all(list(self.hosts.values()))
        self.hosts.clear()


def end_all(hosts: list[HostClient]) -> None:
    """Ends hosts beside each other: taking down a device's context takes its time."""
    for host in hosts:
        host.kill()
    for host in hosts:
        host.close()


def problem_key(job: Job) -> str:
    """Two jobs with the same key can share trusted hosts."""
    problem = job.problem
    head = [
        problem.subject, problem.constructor, job.device, job.dtype, job.backward, job.oracle, job.threads, job.sandbox,
        job.trusted_sandbox, job.uid, job.trusted_uid, job.limits, job.cache_folder, job.seed, job.load_seconds, job.call_seconds,
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(head, default=str, sort_keys=True).encode())
    for name, data in problem.files:
        digest.update(name.encode() + b"\0" + data)
    return digest.hexdigest()


class Pool:
    """Warm processes, kept from job to job: one for what is ours and the problem's, one for candidates."""

    def __init__(self) -> None:
        self._zygotes: dict[tuple[Any, ...], Zygote] = {}
        self._warm: Warm | None = None
        self._spare: list[HostClient] = []
        self._lock = threading.Lock()
        # Why hosts were not used again, for whoever asks.
        self.left: list[list[str]] = []

    def warm(self, job: Job, build_seed: int) -> Warm:
        """The kept hosts of this job's problem, or a place for them; those of another problem end."""
        key = problem_key(job)
        if self._warm is None or self._warm.key != key or self._warm.spoiled:
            self.forget()
            self._warm = Warm(key, build_seed)
        return self._warm

    def forget(self) -> None:
        """Lets the kept hosts go: those that nothing is left in serve the next problem, all others end."""
        if self._warm is None:
            return
        warm, self._warm = self._warm, None
        if warm.spoiled:
            warm.close()
            return
        hosts = list(warm.hosts.values())
        able = [h for h in hosts if h.reusable and not h.closed and h.alive() and not h.worn()]
        with ThreadPoolExecutor(max(1, len(able))) as threads:
            left = list(threads.map(HostClient.recycle, able))
        good = [host for host, why in zip(able, left, strict=True) if not why]
        self.left = [why for why in left if why]
        with self._lock:
            kept = [*self._spare, *good]
            self._spare, old = kept[-MOST_SPARE:], kept[:-MOST_SPARE]
        end_all([*old, *(h for h in hosts if h not in good)])

    def end_spare(self) -> None:
        """Ends the hosts that wait."""
        with self._lock:
            waiting, self._spare = self._spare, []
        end_all(waiting)

    def spare(self, zygote: Zygote, request: dict[str, Any]) -> HostClient | None:
        """A host that was let go of, started from this process with this request."""
        key = start_key(request)
        with self._lock:
            for host in self._spare:
                if host.zygote is zygote and host.started_with == key:
                    self._spare.remove(host)
                    if not host.closed and host.alive():
                        return host
                    host.close()
                    return None
        return None

    def get(self, kind: str, job: Job) -> Zygote:
        """A warm process for this kind of host in the job's sandbox."""
        device = "cpu" if job.device == "cpu" else "cuda"
        # The operators' samples come from a process that sees no device: importing their database may touch one.
        device = "cpu" if kind == "samples" else device
        extra_modules = (
            ["ke_torch.hosting.opinfo"] if kind == "samples" else ["torch.fx.experimental.symbolic_shapes"] if job.backward else []
        )
        if kind == "trusted" and "compile" in job.baselines and job.mode in ("benchmark", "evaluate"):
            extra_modules += COMPILER
        preload = (*(job.preload if kind != "samples" else ()), "ke_torch.hosting.host", *extra_modules)
        sandbox = job.sandbox if kind == "candidate" or not job.trusted_sandbox else job.trusted_sandbox
        key = (kind, device, sandbox, job.threads, preload, job.cache_folder if kind == "trusted" else None)
        found = self._zygotes.get(key)
        if found is not None and found.process.poll() is not None:
            found.close()
            found = None
        if found is None:
            extra = {"TORCHINDUCTOR_COMPILE_THREADS": "1"} if kind == "trusted" else {}
            if kind == "trusted" and job.cache_folder is not None:
                extra["TORCHINDUCTOR_CACHE_DIR"] = job.cache_folder
            found = self._zygotes[key] = Zygote(sandbox, environment(device, job.threads, extra), preload)
        return found

    def discard(self, zygote: Zygote) -> None:
        """Gives up a warm process that is in no good state."""
        self._zygotes = {k: z for k, z in self._zygotes.items() if z is not zygote}
        end_all([h for h in self._spare if h.zygote is zygote])
        self._spare = [h for h in self._spare if h.zygote is not zygote]
        zygote.close()

    def close(self) -> None:
        """Ends all."""
        if self._warm is not None:
            self._warm.close()
        self.end_spare()
        self._warm = None
        for zygote in self._zygotes.values():
            zygote.close()
        self._zygotes.clear()
