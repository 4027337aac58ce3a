"""``python -m ke_torch.judge``: one job as JSON on stdin, events as JSON lines on stdout, `done` as the closing one.

With ``--serve`` a job a line, and the warm processes are kept between them. Trusted: it never imports candidate code.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import Any

import torch

from .compile.building import built
from .formats import FormatError
from .judging.events import Emit, take_stdout
from .judging.job import Job, JobError, read_job
from .judging.launch import LaunchError
from .judging.session import HostFailure, Pool, Session
from .judging.verify import Verification


def _run(job: Job, pool: Pool, emit: Emit) -> None:
    from .judging.grade import grade
    from .judging.inspection import inspect_candidate
    from .timing.bench import Benchmark, launches_for, prestart

    ready = built(job, pool, emit)
    if ready is None:
        return
    session = Session(ready, pool, emit)
    try:
        emit("problem", name=job.problem.name, format=job.problem.format, digest=job.problem.digest, notes=list(job.problem.notes),
             workloads=[w.uuid for w in job.problem.workloads], timed=[w.uuid for w in job.problem.workloads if w.timed],
             optional=[w.uuid for w in job.problem.workloads if w.optional])  # fmt: skip
        if job.mode == "describe":
            return
        if job.mode == "grade":
            with session.phase("grade"):
                grade(session)
            return
        passed, candidate, launches = True, None, launches_for(job, [])
        if job.mode in ("verify", "evaluate"):
            with session.phase("verify"):
                verification = Verification(session)
                passed = verification.run()
            if passed:
                if job.mode == "evaluate":
                    verified = (verification.candidate, verification.reference.eager)
                    launches = launches_for(job, [host.shortest_ns for host in verified if host is not None])
                    prestart(session, launches)
                with session.phase("dispatch"):
                    passed = inspect_candidate(session, verification)
            candidate = verification.candidate
        if passed and job.mode in ("benchmark", "evaluate"):
            if job.device == "cpu":
                session.close()
                candidate = None
            Benchmark(session, candidate, launches).run()
        emit("device", device=session.device, missing=session.missing, sandbox="full" if job.sandbox else "limited",
             confinement=session.confinement, torch=torch.__version__,
             not_reused=sorted({what for left in pool.left for what in left})[:16])  # fmt: skip
    finally:
        session.end()
        emit("seconds", **{name.replace(" ", "_"): round(value, 4) for name, value in sorted(session.seconds.items())})


def judge(text: str, pool: Pool, emit: Emit) -> bool:
    """One job from its text to its closing line, whatever happens; False where this process can judge no other."""
    start = time.monotonic()
    ok = False
    try:
        _run(read_job(json.loads(text)), pool, emit)
        ok = True
    except (JobError, FormatError) as error:
        emit("error", code="unsupported" if isinstance(error, FormatError) else "invalid_job", message=str(error)[:2000])
    except LaunchError as error:
        emit("error", code="infrastructure", message=str(error)[:4000])
    except HostFailure as failure:
        emit("error", code="reference_failed", message=f"{failure.code}: {failure.message[-3000:]}")
    except ValueError as error:
        emit("error", code="invalid_job", message=f"{type(error).__name__}: {error}"[:2000])
    except Exception as error:
        # A fault of the judge itself: told as such, never as the candidate's.
        import traceback

        emit("error", code="infrastructure", message="".join(traceback.format_exception(error))[-4000:])
    retired = not _device_works()
    emit("done", ok=ok, seconds=time.monotonic() - start, retired=retired)
    return not retired


def _device_works() -> bool:
    """Whether this process can go on using the device: a fault there ends its context for good."""
    if not torch.cuda.is_initialized():
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def main(argv: list[str]) -> int:
    """See the module."""
    emit: Any = take_stdout()
    # Nothing is computed here while a call is timed; comparisons may use what the hosts do not.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    pool = Pool()
    try:
        if "--serve" in argv:
            for line in sys.stdin:
                if line.strip() and not judge(line, pool, emit):
                    break
        else:
            judge(sys.stdin.read(), pool, emit)
    finally:
        pool.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
