"""The judge's part in CUDA and C++ candidates: builds one before any host is started, and tells what came of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from ..formats import FormatError
from ..formats.native import with_module
from ..judging.events import Emit
from ..judging.job import Job
from ..judging.replies import HostFailure
from ..judging.warm import Pool
from .modules import BuildError, MissingCompiler, Request, build


def _architecture(device: str) -> str:
    if device == "cpu" or not torch.cuda.is_available():
        raise FormatError("a CUDA candidate runs on a CUDA device, and this job names none; without one it can be compiled only")
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm_{major}{minor}{'a' if major >= 9 else ''}"


def built(job: Job, pool: Pool, emit: Emit) -> Job | None:
    """The job with its candidate's shared object; None where there is none, which has been told.

    To describe a job, a CUDA source needs no device and is not built.
    """
    candidate = job.candidate
    if candidate is None or candidate.native is None:
        return job
    native = candidate.native
    if job.mode == "describe" and native.language == "cuda" and job.device == "cpu":
        return job
    arch = _architecture(job.device) if native.language == "cuda" else ""
    limits = {"uid": job.uid, **job.limits}
    cache = None if job.module_cache is None else Path(job.module_cache)
    try:
        made = build(
            Request(native.source, native.language, arch, native.flags),
            pool.get("candidate", job),
            limits,
            job.build_seconds,
            cache,
        )
    except BuildError as error:
        line = next((d.line for d in error.diagnostics if d.file is not None and d.file.startswith("candidate.")), None)
        emit(
            "compile_error", message=error.message, line=line,
            diagnostics=[d.fields() for d in error.diagnostics[:50]], text=error.text,
        )  # fmt: skip
        return None
    except MissingCompiler as missing:
        emit("missing", what=missing.what, reason=missing.reason)
        return None
    except HostFailure as failure:
        emit(
            "host_failure", workload=None, role="candidate", name="compiler", code=failure.code, message=failure.message[-4000:],
            exit=failure.exit_code, signal=failure.signal_number, text="", text_bytes=0,
        )  # fmt: skip
        return None
    warnings = [d.fields() for d in made.warnings[:50]]
    emit("built", language=native.language, arch=arch or None, bytes=len(made.data), cached=made.cached, seconds=made.seconds,
         tool=made.tool, warnings=warnings)  # fmt: skip
    return replace(job, candidate=with_module(candidate, made.data))
