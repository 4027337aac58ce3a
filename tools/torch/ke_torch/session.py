"""The hosts of one job: made from the zygotes, loaded, built, given weights and inputs."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .client import Answer, Call, HostClient, HostFailure
from .draws import Draw, Role, cast_draw, describe_draw
from .events import Emit
from .formats import Workload
from .job import Job
from .launch import LaunchError, Zygote, environment

LIMITS = {"address_space": 0, "cpu_seconds": 600, "file_bytes": 8 << 30, "processes": 0}
CPU_ADDRESS_SPACE = 24 << 30
INPUT_LIMIT = 64 << 30


class Pool:
    """Warm processes, kept from job to job: one for what is ours and the problem's, one for candidates."""

    def __init__(self) -> None:
        self._zygotes: dict[tuple[Any, ...], Zygote] = {}

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
        for zygote in self._zygotes.values():
            zygote.close()
        self._zygotes.clear()


@dataclass
class Weights:
    """The state that all hosts have."""

    names: list[str] = field(default_factory=list)
    parameters: list[bool] = field(default_factory=list)
    tensors: list[torch.Tensor] = field(default_factory=list)


class Session:
    """One job's hosts and what they share."""

    def __init__(self, job: Job, pool: Pool, emit: Emit) -> None:
        self.job, self.pool, self.emit = job, pool, emit
        self.seed = secrets.randbits(62) if job.seed is None else job.seed
        self.build_seed = self.derive("weights", 0)
        self.init: Draw = Draw({"u": []}, [])
        self.weights = Weights()
        self.weights_by = "none"
        self.hosts: list[HostClient] = []
        self.device: dict[str, Any] = {}
        self.confinement: list[str] = []
        self.missing: list[str] = []
        # Started beside each other: each imports torch.
        self.trusted, self.untrusted = pool.get("trusted", job), pool.get("candidate", job)

    def derive(self, purpose: str, index: int) -> int:
        """A secret number for a purpose."""
        import hashlib

        data = hashlib.blake2b(f"{self.seed}/{purpose}/{index}".encode(), digest_size=8).digest()
        return int.from_bytes(data, "little") >> 2

    def _request(self, role: str) -> dict[str, Any]:
        job, own = self.job, role == "candidate"
        limits = {**LIMITS, **job.limits}
        if job.device == "cpu" and limits["address_space"] == 0:
            limits["address_space"] = CPU_ADDRESS_SPACE
        elif job.device != "cpu":
            limits["address_space"] = 0
        return {
            "op": "start",
            "device": job.device,
            "threads": job.threads,
            "cache": job.candidate_cache if own else None,
            "limits": {
                **limits,
                "uid": job.uid if own or job.uid == 0 else job.trusted_uid or job.uid + 10000,
                "allow_processes": job.allow_processes if own else True,
                "allow_unix_sockets": job.device != "cpu" or not own,
            },
        }

    def start(self, role: str, name: str, wrap: str = "eager", double: bool = False) -> HostClient:
        """A new host with its subject built and its weights loaded.

        @raises HostFailure when the subject cannot be; LaunchError when no host can.
        """
        job = self.job
        own = role == "candidate"
        zygote = self.untrusted if own else self.trusted
        seconds = {"load": job.load_seconds, "call": job.call_seconds}
        if wrap == "compile":
            # It compiles in its first call.
            seconds = dict.fromkeys(seconds, job.compile_seconds)
        host = HostClient(zygote, role, name, self._request(role), seconds)
        self.hosts.append(host)
        self.device = dict(host.hello.get("device") or {})
        self.missing = [str(m) for m in host.hello.get("missing") or []]
        if own:
            self.confinement = [str(c) for c in host.hello.get("confinement") or []]
        try:
            self._prepare(host, own, wrap, double)
        except HostFailure as failure:
            if failure.code == "exception":
                failure.code = "load_failed"
            host.failed = failure  # type: ignore[attr-defined]
            raise
        return host

    def _prepare(self, host: HostClient, own: bool, wrap: str, double: bool) -> None:
        job = self.job
        files, subject = job.problem.files, job.problem.subject
        if own:
            assert job.candidate is not None
            files, subject = job.candidate.files, job.candidate.subject
        blobs = [torch.frombuffer(bytearray(d), dtype=torch.uint8) if d else torch.empty(0, dtype=torch.uint8) for _, d in files]
        host.request("load", blobs, files=[n for n, _ in files], subject=subject)
        if job.problem.constructor and not self.init.tree["u"] and host.role == "reference":
            answer = host.request("provide", provider="get_init_inputs", seed=self.build_seed, arguments={})
            self.init = Draw({"u": answer["tree"].get("l", answer["tree"].get("u"))}, host.given(INPUT_LIMIT))
        dtype = "float64" if double else job.dtype
        host.request(
            "build", self.init.tensors, given=len(self.init.tensors), init=self.init.tree, seed=self.build_seed,
            dtype=dtype, wrap=wrap, cast_init=double,
        )  # fmt: skip
        if not job.problem.constructor:
            return
        if host.role == "reference" and not self.weights.names:
            answer = host.request("weights")
            self.weights = Weights(list(answer["names"]), list(answer["parameters"]), host.given(INPUT_LIMIT))
            return
        if not self.weights.names:
            return
        why = str(self.set_weights(host, self.weights.tensors))
        if own:
            by = "seed" if why else "state_dict"
            if by != self.weights_by:
                self.weights_by = by
                self.emit("weights", by=by, why_not=why, tensors=len(self.weights.names))
        elif why:
            raise HostFailure("exception", f"the problem's own weights do not load: {why}")

    def set_weights(self, host: HostClient, tensors: list[torch.Tensor]) -> str:
        """Loads a state strictly; answers why it could not be."""
        return str(host.request("load_weights", tensors, names=self.weights.names)["why_not"])

    def provider(self) -> HostClient:
        """The host that makes samples of operators, on the processor."""
        for host in self.hosts:
            if host.role == "provider":
                return host
        request = {**self._request("provider"), "device": "cpu"}
        seconds = {"load": self.job.load_seconds, "call": self.job.call_seconds}
        host = HostClient(self.pool.get("samples", self.job), "provider", "samples", request, seconds)
        self.hosts.append(host)
        host.request("load", [], files=[], subject=self.job.problem.subject)
        return host

    def draw(self, reference: HostClient, workload: Workload, index: int) -> Draw | None:
        """Fresh inputs from a secret seed; None where the workload turns out not to exist."""
        seed = self.derive(f"inputs/{workload.uuid}", index)
        if workload.provider is None:
            return cast_draw(describe_draw(workload, seed), self.job.dtype)
        host = self.provider() if workload.provider == "opinfo" else reference
        answer = host.request("provide", provider=workload.provider, seed=seed, arguments=workload.arguments)
        if answer["tree"] == {"n": 0}:
            return None
        return cast_draw(Draw(answer["tree"], host.given(INPUT_LIMIT)), self.job.dtype)

    def give(self, host: HostClient, draws: Sequence[Draw], roles: Sequence[Role], double: bool = False) -> None:
        """Hands draws of one structure to a host."""
        host.request(
            "draws", [t for d in draws for t in d.tensors], tree=draws[0].tree, draws=len(draws),
            each=len(draws[0].tensors), roles=[r.to_json() for r in roles], double=double,
        )  # fmt: skip

    def ask(
        self,
        host: HostClient,
        recipe: dict[str, Any],
        limit: int,
        key: int = 0,
        cotangents: list[torch.Tensor] | None = None,
        **fields: Any,
    ) -> tuple[Call, Answer]:
        """One call and its answer, with the inputs as they are after it."""
        backward = self.job.backward
        found = host.call(
            key,
            cotangents,
            recipe=recipe,
            seed=self.build_seed,
            backward=backward,
            cotangents=cotangents is not None,
            **fields,
        )
        return found, host.collect(found, limit, inputs=True, backward=backward)

    def report(self, host: HostClient, failure: HostFailure, workload: str) -> None:
        """A host that gave no answer, as a line."""
        text = "" if host.closed and not host.text else host.text.decode(errors="replace")
        if not host.closed:
            text = host.drain()
        self.emit(
            "host_failure", workload=workload, role=host.role, name=host.name, code=failure.code, message=failure.message,
            exit=failure.exit_code, signal=failure.signal_number, text=text[:8192], text_bytes=host.text_total,
        )  # fmt: skip

    def stop(self, host: HostClient) -> None:
        """Ends one host."""
        host.close()
        self.hosts = [h for h in self.hosts if h is not host]

    def close(self) -> None:
        """Ends all hosts; what is left in a candidate's sandbox goes with its warm process."""
        for host in list(self.hosts):
            self.stop(host)


__all__ = ["HostFailure", "LaunchError", "Pool", "Session"]
