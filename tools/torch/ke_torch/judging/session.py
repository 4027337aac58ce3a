"""The hosts of one job: made from the zygotes, loaded, built, given weights and inputs."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import torch

from ..formats import Workload
from .client import HostClient
from .draws import Draw, Role, cast_draw, describe_draw
from .events import Emit
from .job import Job
from .launch import LaunchError
from .replies import Answer, Call, HostFailure
from .warm import Pool, Weights

LIMITS = {"address_space": 0, "cpu_seconds": 600, "file_bytes": 8 << 30, "processes": 0}
CPU_ADDRESS_SPACE = 24 << 30
INPUT_LIMIT = 64 << 30
JUDGE_MEMORY = 4 << 30
# Inputs of this size are held once by whoever needs them, and nowhere else, bytes.
LARGE = 1 << 30


class Session:
    """One job's hosts and what they share."""

    def __init__(self, job: Job, pool: Pool, emit: Emit) -> None:
        self.job, self.pool, self.emit = job, pool, emit
        self.seed = secrets.randbits(62) if job.seed is None else job.seed
        self.warm = pool.warm(job, self.derive("weights", 0))
        self.weights_by = "none"
        self.hosts: list[HostClient] = []
        self.device: dict[str, Any] = {}
        self.confinement: list[str] = []
        self.missing: list[str] = []
        # Started beside each other: each imports torch.
        self.trusted, self.untrusted = pool.get("trusted", job), pool.get("candidate", job)
        self.home = torch.device("cpu" if job.device == "cpu" or not torch.cuda.is_available() else job.device)
        self.seconds: dict[str, float] = {}
        self.scratch = secrets.token_hex(8)
        self.threads = ThreadPoolExecutor(8)
        self.launched: dict[str, list[Future[HostClient]]] = {}

    @property
    def build_seed(self) -> int:
        """What modules are made with; the same in all jobs about a problem whose hosts are kept."""
        return self.warm.build_seed

    @property
    def weights(self) -> Weights:
        """The problem's own."""
        return self.warm.weights

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts where the time goes."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start

    def generator(self, purpose: str, index: int) -> torch.Generator:
        """Secret numbers where the judge's tensors are."""
        return torch.Generator(self.home).manual_seed(self.derive(purpose, index))

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
            # What a candidate compiles when it runs is compiled once a job.
            "shared": self.scratch if own and job.device != "cpu" else None,
            "limits": {
                **limits,
                "uid": job.uid if own or job.uid == 0 else job.trusted_uid or job.uid + 10000,
                "allow_processes": job.allow_processes if own else True,
                "allow_unix_sockets": job.device != "cpu" or not own,
            },
        }

    def prestart(self, role: str, name: str, wrap: str = "eager") -> None:
        """Begins to start a host of this name, beside what else is done; `start` takes it."""
        if self.job.device != "cpu":
            self.launched.setdefault(f"{role}/{name}", []).append(self.threads.submit(self._launch, role, name, wrap))

    def _launch(self, role: str, name: str, wrap: str) -> HostClient:
        """A process with its device open and its source loaded."""
        job, own = self.job, role == "candidate"
        seconds = {"load": job.load_seconds, "call": job.call_seconds}
        if wrap == "compile":
            # It compiles in its first call.
            seconds = dict.fromkeys(seconds, job.compile_seconds)
        files, subject = job.problem.files, job.problem.subject
        if own:
            assert job.candidate is not None
            files, subject = job.candidate.files, job.candidate.subject
        blobs = [torch.frombuffer(bytearray(d), dtype=torch.uint8) if d else torch.empty(0, dtype=torch.uint8) for _, d in files]
        request, names = self._request(role), [n for n, _ in files]
        if not own and wrap != "compile" and (spare := self.pool.spare(self.trusted, request)) is not None:
            with suppress(HostFailure):
                spare.adopt(role, name, seconds).request("load", blobs, files=names, subject=subject)
                self.hosts.append(spare)
                return spare
            # It may be that this process remembers what a new one would not; a new one decides.
            spare.close()
        host = HostClient(self.untrusted if own else self.trusted, role, name, request, seconds, self.home)
        # Code that candidates wrote never makes room for another's; a compiler's state is a process's own.
        host.reusable = not own and wrap != "compile"
        self.hosts.append(host)
        try:
            host.request("load", blobs, files=names, subject=subject)
        except HostFailure as failure:
            failure.host = host
            failure.code = "load_failed" if failure.code == "exception" else failure.code
            raise
        return host

    def start(self, role: str, name: str, wrap: str = "eager", double: bool = False) -> HostClient:
        """A host with its subject built and its weights loaded.

        @raises HostFailure (its `host` is the one) when the subject cannot be; LaunchError when no host can.
        """
        with self.phase("start"):
            waiting = self.launched.get(f"{role}/{name}")
            host = waiting.pop(0).result() if waiting else self._launch(role, name, wrap)
        own = role == "candidate"
        self.device = dict(host.hello.get("device") or {})
        self.missing = [str(m) for m in host.hello.get("missing") or []]
        if host.why_not_boxed:
            self.missing.append(f"device memory between processes: {host.why_not_boxed}")
        if own:
            self.confinement = [str(c) for c in host.hello.get("confinement") or []]
        try:
            with self.phase("build"):
                self._prepare(host, own, wrap, double)
        except HostFailure as failure:
            failure.host = host
            failure.code = "load_failed" if failure.code == "exception" else failure.code
            raise
        return host

    def start_all(self, wanted: Sequence[tuple[str, str, str]]) -> list[HostClient]:
        """Several hosts at once: role, name, wrap."""
        futures = [self.threads.submit(self.start, *one) for one in wanted]
        first: BaseException | None = None
        made = []
        for future in futures:
            try:
                made.append(future.result())
            except (HostFailure, LaunchError) as error:
                first = first or error
        if first is not None:
            raise first
        return made

    def _prepare(self, host: HostClient, own: bool, wrap: str, double: bool) -> None:
        job, warm = self.job, self.warm
        if job.problem.constructor and not warm.init.tree["u"] and host.role == "reference":
            answer = host.request("provide", provider="get_init_inputs", seed=self.build_seed, arguments={})
            warm.init = Draw({"u": answer["tree"].get("l", answer["tree"].get("u"))}, host.given(answer, INPUT_LIMIT))
        where = warm.where if host.role != "reference" else "cpu" if job.device == "cpu" else "device"
        dtype = "float64" if double else job.dtype
        answer = host.request(
            "build", warm.init.tensors, given=len(warm.init.tensors), init=warm.init.tree, seed=self.build_seed,
            dtype=dtype, wrap=wrap, cast_init=double, where=where,
        )  # fmt: skip
        if host.role == "reference":
            warm.where = str(answer.get("where", "cpu"))
        if not job.problem.constructor:
            return
        if host.role == "reference" and not self.weights.names:
            answer = host.request("weights")
            warm.weights = Weights(list(answer["names"]), list(answer["parameters"]), host.given(answer, INPUT_LIMIT))
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
        host.home = self.home
        self.hosts.append(host)
        host.request("load", [], files=[], subject=self.job.problem.subject)
        return host

    @staticmethod
    def large(draw: Draw) -> bool:
        """Whether so much is drawn that it should not be held twice."""
        return sum(t.numel() * t.element_size() for t in draw.tensors) > LARGE

    def draw(self, reference: HostClient, workload: Workload, index: int) -> Draw | None:
        """Fresh inputs from a secret seed; None where the workload turns out not to exist."""
        seed = self.derive(f"inputs/{workload.uuid}", index)
        if workload.provider is None:
            made = describe_draw(workload, seed)
            return cast_draw(Draw(made.tree, [t.to(self.home) for t in made.tensors]), self.job.dtype)
        host = self.provider() if workload.provider == "opinfo" else reference
        answer = host.request("provide", provider=workload.provider, seed=seed, arguments=workload.arguments)
        if answer["tree"] == {"n": 0}:
            return None
        made = cast_draw(Draw(answer["tree"], host.given(answer, INPUT_LIMIT)), self.job.dtype)
        if self.large(made):
            self.rest(host, inputs=False)
        return made

    def give(
        self, host: HostClient, draws: Sequence[Draw], roles: Sequence[Role], double: bool = False, lean: bool = False
    ) -> None:
        """Hands draws of one structure to a host; `lean`: one, of which it keeps no second copy."""
        # Large ones one after the other, so that only one is on its way.
        parts = [[d] for d in draws] if self.large(draws[0]) else [list(draws)]
        for k, part in enumerate(parts):
            host.request(
                "draws", [t for d in part for t in d.tensors], tree=draws[0].tree, draws=len(part), more=k + 1 < len(parts),
                each=len(draws[0].tensors), roles=[r.to_json() for r in roles], double=double, lean=lean,
            )  # fmt: skip
        if self.large(draws[0]) and host.role != "candidate":
            host.free(LARGE)

    def rest(self, host: HostClient, inputs: bool) -> None:
        """Has a host give up its answer, and its inputs where told so, and gives up what the judge itself does not use."""
        host.request("rest", None, inputs=inputs)
        if host.role != "candidate":
            host.free(LARGE)
        if self.home.type != "cpu":
            torch.cuda.empty_cache()

    def ask(
        self,
        host: HostClient,
        recipe: dict[str, Any],
        limit: int,
        key: int = 0,
        cotangents: list[torch.Tensor] | None = None,
        inputs: bool = True,
        **fields: Any,
    ) -> tuple[Call, Answer]:
        """One call and its answer, with the inputs as they are after it where they are asked for."""
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
        return found, host.collect(found, limit, inputs=inputs, backward=backward)

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
        self.warm.drop(host)
        self.hosts = [h for h in self.hosts if h is not host]

    def keep(self, host: HostClient, name: str) -> None:
        """Lets a trusted host live on for the next job about this problem."""
        self.warm.hosts[name] = host

    def close(self) -> None:
        """Ends all hosts but those that are kept."""
        for waiting in self.launched.values():
            for future in waiting:
                future.exception()
        self.launched.clear()
        if self.warm.spoiled:
            self.warm.close()
        ending = [host for host in self.hosts if not any(host is kept for kept in self.warm.hosts.values())]
        for host in ending:
            host.kill()
        for host in ending:
            self.stop(host)

    def end(self) -> None:
        """Ends the job's part of this process."""
        self.close()
        self.threads.shutdown(wait=False)
        if self.home.type != "cpu" and torch.cuda.memory_reserved(self.home) > JUDGE_MEMORY:
            torch.cuda.empty_cache()


__all__ = ["HostFailure", "LaunchError", "Pool", "Session"]
