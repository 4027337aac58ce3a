"""What is kept from job to job: warm processes, and the reference and baseline hosts of the problem that was asked about last."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import torch

from .client import HostClient
from .draws import Draw
from .job import Job
from .launch import Zygote, environment


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
        if host.closed or not host.alive():
            self.drop(host)
            return None
        return host

    def drop(self, host: HostClient) -> None:
        """Ends one."""
        self.hosts = {n: h for n, h in self.hosts.items() if h is not host}
        host.close()

    def close(self) -> None:
        """Ends all."""
        for host in list(self.hosts.values()):
            host.close()
        self.hosts.clear()


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

    def warm(self, job: Job, build_seed: int) -> Warm:
        """The kept hosts of this job's problem, or a place for them; those of another problem end."""
        key = problem_key(job)
        if self._warm is None or self._warm.key != key or self._warm.spoiled:
            self.forget()
            self._warm = Warm(key, build_seed)
        return self._warm

    def forget(self) -> None:
        """Ends the kept hosts."""
        if self._warm is not None:
            self._warm.close()
        self._warm = None

    def get(self, kind: str, job: Job) -> Zygote:
        """A warm process for this kind of host in the job's sandbox."""
        device = "cpu" if job.device == "cpu" else "cuda"
        # The operators' samples come from a process that sees no device: importing their database may touch one.
        device = "cpu" if kind == "samples" else device
        extra_modules = (
            ["ke_torch.opinfo"] if kind == "samples" else ["torch.fx.experimental.symbolic_shapes"] if job.backward else []
        )
        preload = (*(job.preload if kind != "samples" else ()), "ke_torch.host", *extra_modules)
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
        zygote.close()

    def close(self) -> None:
        """Ends all."""
        self.forget()
        for zygote in self._zygotes.values():
            zygote.close()
        self._zygotes.clear()
