"""One compile job from its workers to its events. Trusted: imports no candidate, reads what workers write with suspicion."""

from __future__ import annotations

import base64
import re
from dataclasses import asdict
from typing import Any

from ..formats import Workload
from ..judging.client import HostFailure
from ..judging.events import Emit
from .client import LIMITS, Warm, run_worker
from .inline import cuda_of_python, looks_like_python
from .job import TYPES, CompileJob
from .report import Kernel, figures, safe_name, write_parts
from .resources import Diagnostic, Resources, parse_amdgcn, parse_diagnostics, parse_listing, parse_ptxas

_OVERRIDE, _FILE_NAME = re.compile(r"[A-Z2-7]{20,80}"), re.compile(r"[A-Za-z0-9_]{1,150}")
_ENTRY = {"ptx": re.compile(r"\.entry\s+([\w$]+)"), "amdgcn": re.compile(r"(?m)^\s*\.amdhsa_kernel\s+([\w$.]+)")}


_KEPT = (
    "kernel", "symbol", "config", "grid", "launches", "signature", "constexprs", "divisible_by_16", "num_warps", "num_stages",
    "num_ctas", "seconds",
)  # fmt: skip


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _workload(workload: Workload) -> dict[str, Any]:
    return {
        **asdict(workload),
        "tensors": [asdict(t) for t in workload.tensors],
        "destinations": [list(d) for d in workload.destinations],
    }


class Program:
    """The job's state."""

    def __init__(self, job: CompileJob, warm: Warm, emit: Emit) -> None:
        self.job, self.warm, self.emit = job, warm, emit
        self.kernels: list[Kernel] = []
        self.failed = 0
        self.missing: list[str] = []
        self.confinement: list[str] = []
        self.stopped = False

    def run(self) -> None:
        """All of it."""
        job = self.job
        if job.abstraction == "triton":
            self.triton()
        elif job.abstraction == "cuda":
            self.cuda()
        if job.replace is not None and not self.stopped:
            self.replaced(job.replace)
        self.emit("compiled", passed=self.failed == 0 and not self.stopped and not self.missing_needed(), kernels=len(self.kernels),
                  failed=self.failed, confinement=self.confinement, sandbox="full" if job.sandbox else "limited")  # fmt: skip

    def missing_needed(self) -> bool:
        """Whether what is missing keeps the job from its answer; disassembly does not."""
        return any(what != "sass" for what in self.missing)

    def worker(self, request: dict[str, Any], on_frame: Any) -> bool:
        """One confined worker; False when it gave no answer, which is told."""
        job = self.job
        zygote = self.warm.get(job.sandbox)
        limits = {**LIMITS, **job.limits, "uid": job.uid, "allow_processes": True, "allow_unix_sockets": False}
        try:
            self.confinement, _ = run_worker(zygote, request, {"limits": limits, "cache": None}, job.seconds, on_frame)
        except HostFailure as failure:
            self.stopped = True
            self.emit("host_failure", role=request["task"], code=failure.code, message=failure.message[-4000:],
                      exit=failure.exit_code, signal=failure.signal_number)  # fmt: skip
            return False
        return True

    def common(self, header: dict[str, Any]) -> bool:
        """Frames of every worker; False for others."""
        kind = header.get("kind")
        if kind == "missing":
            what = str(header.get("what"))
            if what not in self.missing:
                self.missing.append(what)
                self.emit("missing", what=what, reason=str(header.get("reason", ""))[:1000])
        elif kind == "exception":
            self.stopped = True
            self.emit(
                "error",
                code="infrastructure",
                message=f"{header.get('name')}: {header.get('message')}\n{header.get('trace')}"[:6000],
            )
        elif kind == "tool":
            self.emit("tool", name=str(header.get("name")), version=header.get("version"))
        else:
            return False
        return True

    def fail(self, kernel: str, stage: str, found: list[Diagnostic], said: str, **more: Any) -> None:
        """A kernel that did not compile."""
        self.failed += 1
        errors = [d for d in found if d.severity == "error"]
        first = errors[0] if errors else None
        message = first.message if first else said.strip()[-2000:]
        self.emit("compile_error", kernel=kernel, stage=stage, message=message or "no message", line=first.line if first else None,
                  diagnostics=[d.fields() for d in found[:50]], text=said[-8000:], **more)  # fmt: skip

    def refuse(self, kernel: str | None, stage: str, message: str, line: int | None = None, text: str = "", **more: Any) -> None:
        """A failure with nothing but a message."""
        self.failed += 1
        self.emit("compile_error", kernel=kernel, stage=stage, message=message, line=line, diagnostics=[], text=text, **more)

    # Triton

    def triton(self) -> None:
        """Runs the candidate in one worker, assembles what came of it in another."""
        job, problem, candidate = self.job, self.job.problem, self.job.candidate
        given = None
        if problem is not None and candidate is not None:
            chosen = [w for w in problem.workloads if (w.uuid in job.workloads if job.workloads else not w.optional)]
            given = {
                "files": [[name, _b64(data)] for name, data in problem.files],
                "subject": problem.subject,
                "code": bool(problem.files),
                "constructor": problem.constructor,
                "workloads": [_workload(w) for w in chosen],
                "dtype": job.dtype,
                "backward": job.backward,
            }
        files = candidate.files if candidate is not None else (("candidate.py", (job.source or "").encode()),)
        request = {
            "task": "triton", "arch": job.arch.name, "hardware": job.hardware, "configs": job.configs, "tensors": job.tensors,
            "most": job.most, "problem": given, "files": [[name, _b64(data)] for name, data in files],
            "subject": None if candidate is None else candidate.subject, "kernels": list(job.kernels),
        }  # fmt: skip
        if self.worker(request, self.triton_frame):
            self.resources()
        for kernel in self.kernels:
            self.tell(kernel)

    def triton_frame(self, header: dict[str, Any], payload: bytes) -> None:
        """What the candidate's worker says."""
        if self.common(header):
            return
        kind = header.get("kind")
        if kind == "recorded":
            self.emit("recorded", how=header.get("how"), why_not_fake=header.get("why_not_fake"), workloads=header.get("workloads"),
                      kernels=header.get("kernels"), launches=header.get("launches"), configs=self.job.configs,
                      left_out=header.get("left_out"))  # fmt: skip
        elif kind == "not_recorded":
            line = header.get("line") if isinstance(header.get("line"), int) else None
            text = str(header.get("trace"))[-8000:]
            self.refuse(None, "run", f"{header.get('name')}: {header.get('message')}"[:3000], line, text)
        elif kind == "failed":
            line = header.get("line") if isinstance(header.get("line"), int) else None
            self.refuse(str(header.get("kernel")), "triton", str(header.get("message"))[:4000], line,
                        config=header.get("config"), grid=header.get("grid"))  # fmt: skip
        elif kind == "kernel" and len(self.kernels) < self.job.most:
            label = f"{len(self.kernels)}-{safe_name(str(header.get('kernel')))}"
            self.kernels.append(Kernel(label, header))
        elif kind == "artifact" and self.kernels and header.get("type") in TYPES:
            self.kernels[-1].parts[str(header["type"])] = payload

    def resources(self) -> None:
        """Registers and spills, by tools that run apart from the candidate."""
        if self.job.arch.backend == "hip":
            for kernel in self.kernels:
                found = parse_amdgcn(kernel.parts.get("amdgcn", b"").decode(errors="replace"))
                kernel.resources = next(iter(found.values()), None)
            return
        texts = [self.text(k.label, "ptx", k.parts["ptx"]) for k in self.kernels if "ptx" in k.parts]
        if texts:
            self.assemble(texts, {k.label: k for k in self.kernels})

    def text(self, label: str, kind: str, data: bytes) -> dict[str, Any]:
        """One text for the assembling worker."""
        arch = self.job.arch.assembler_name
        return {
            "label": label,
            "type": kind,
            "data": _b64(data),
            "arch": arch,
            "keep_binary": True,
            "sass": "sass" in self.job.artifacts,
        }

    def assemble(self, texts: list[dict[str, Any]], by_label: dict[str, Kernel]) -> None:
        """Assembles in a worker of its own; resources and artifacts go to their kernels."""
        given = {t["label"]: base64.b64decode(t["data"]).decode(errors="replace") for t in texts}

        def frame(header: dict[str, Any], payload: bytes) -> None:
            kernel = by_label.get(str(header.get("label")))
            if self.common(header) or kernel is None:
                return
            if header.get("kind") == "artifact" and header.get("type") in TYPES:
                kernel.parts[str(header["type"])] = payload
                return
            said = str(header.get("said", ""))
            kind = "ptx" if header.get("tool") == "ptxas" else "amdgcn"
            if not header.get("ok"):
                names = {str(header.get("file")): f"{kernel.label}.{kind}"}
                found = parse_diagnostics(said, names) if kind == "ptx" else parse_listing(said, given[kernel.label])
                self.fail(str(kernel.header.get("kernel")), "assemble", found, said)
            elif kind == "ptx":
                kernel.resources = next(iter(parse_ptxas(said).values()), None)

        self.worker({"task": "assemble", "arch": self.job.arch.name, "texts": texts}, frame)

    def tell(self, kernel: Kernel, event: str = "kernel", **more: Any) -> None:
        """One kernel's event."""
        h = kernel.header
        kept = {k: h.get(k) for k in _KEPT}
        self.emit(event, **kept, **figures(self.job, kernel), artifacts=write_parts(self.job, kernel), **more)

    # CUDA

    def cuda(self) -> None:
        """nvcc over one source, in a worker that runs nothing of it."""
        job, source, before = self.job, self.job.source or "", 0
        if looks_like_python(source):
            source, before = cuda_of_python(source)
        headers = re.search(r"#\s*include\s*[<\"](torch|ATen|c10)/", source) is not None
        request = {"task": "nvcc", "arch": job.arch.name, "gpu": job.arch.assembler_name, "data": _b64(source.encode()),
                   "flags": list(job.flags) or ["-O3"], "torch_headers": headers}  # fmt: skip
        parts: dict[str, bytes] = {}
        found: dict[str, Resources] = {}

        def frame(header: dict[str, Any], payload: bytes) -> None:
            if self.common(header):
                return
            if header.get("kind") == "artifact" and header.get("type") in TYPES:
                parts[str(header["type"])] = payload
            elif header.get("kind") == "assembled":
                said = str(header.get("said", ""))
                complaints = parse_diagnostics(said, {str(header.get("file")): "candidate.cu"})
                if before:
                    complaints = [
                        Diagnostic(
                            d.severity,
                            d.message,
                            d.line + before if d.line and d.file == "candidate.cu" else d.line,
                            d.column,
                            d.file,
                        )
                        for d in complaints
                    ]
                if not header.get("ok"):
                    self.fail("", "nvcc", complaints, said)
                elif header.get("step") == "cubin":
                    found.update(parse_ptxas(said))
                    for one in complaints:
                        self.emit("warning", **one.fields())

        if not self.worker(request, frame) or self.failed or self.missing_needed():
            return
        if not found:
            self.refuse(None, "nvcc", "the source defines no __global__ function that is instantiated")
            return
        whole = Kernel("candidate", {}, parts)
        artifacts = write_parts(job, whole)
        for symbol, resources in found.items():
            kernel = Kernel(symbol, {"kernel": symbol, "symbol": symbol}, {}, resources)
            self.kernels.append(kernel)
            self.tell(kernel)
        self.emit("artifacts", files=artifacts)

    # Replay

    def replaced(self, replace: dict[str, str]) -> None:
        """An edited text in a kernel's place: assembled, and laid out as Triton takes it when it runs the candidate."""
        job, kind, name = self.job, replace["type"], replace["kernel"]
        chosen = (
            [k for k in self.kernels if name in (str(k.header.get("kernel")), str(k.header.get("symbol")))]
            if name
            else self.kernels
        )
        entry = _ENTRY[kind].search(replace["text"])
        if job.abstraction != "assembly" and not chosen:
            there = ", ".join(sorted({str(k.header.get("kernel")) for k in self.kernels})) or "none"
            self.refuse(name, "replace", f"no kernel of this name was compiled; there are: {there}")
            return
        symbols = {str(k.header.get("symbol")) for k in chosen}
        if entry is None or (job.abstraction == "triton" and entry[1] not in symbols):
            message = f"the text defines the kernel {entry[1] if entry else '(none)'}, not {', '.join(sorted(symbols)) or 'any'}"
            self.refuse(name, "replace", message)
            return
        known: dict[str, Any] = chosen[0].header if chosen else {}
        header = {**known, "kernel": name or entry[1], "symbol": entry[1]}
        if job.abstraction != "triton":
            header["threads"] = _threads(replace["text"], kind)
        kernel = Kernel(f"replaced-{safe_name(entry[1])}", header)
        before = self.failed
        data = replace["text"].encode()
        self.assemble([self.text(kernel.label, kind, data)], {kernel.label: kernel})
        if self.failed > before or self.stopped or self.missing_needed():
            return
        kernel.parts[kind] = data
        if kind == "amdgcn":
            kernel.resources = next(iter(parse_amdgcn(replace["text"]).values()), None)
        self.tell(kernel, "replaced", candidate_cache=self.lay_out(chosen, entry[1], kind, data))

    def lay_out(self, chosen: list[Kernel], symbol: str, kind: str, data: bytes) -> str | None:
        """Triton's override folders below the job's; None where Triton is not what runs it."""
        if self.job.abstraction != "triton":
            return None
        root = self.job.folder / "candidate_cache"
        for kernel in chosen:
            override, file_name = str(kernel.header.get("override")), str(kernel.header.get("file_name"))
            if str(kernel.header.get("symbol")) == symbol and _OVERRIDE.fullmatch(override) and _FILE_NAME.fullmatch(file_name):
                place = root / "override" / override
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{file_name}.{kind}").write_bytes(data)
        return str(root)


def _threads(text: str, kind: str) -> int:
    found = re.search(
        r"\.(?:req|max)ntid\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?" if kind == "ptx" else r"\.max_flat_workgroup_size:\s+(\d+)",
        text,
    )
    count = 1
    for group in found.groups() if found else ("0",):
        count *= int(group or 1)
    return count
