"""``python -m ke_torch.profile``: one job as JSON on stdin, events as JSON lines on stdout, `done` as the closing one.

With ``--serve`` a job a line. Trusted: it never imports candidate code. Each profiler watches a process of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..compile.building import built
from ..formats import FormatError
from ..judging.events import Emit, take_stdout
from ..judging.job import Job, JobError, read_job
from ..judging.launch import LaunchError
from ..judging.session import HostFailure, Pool, Session
from . import ncu
from .preflight import find_ncu, preflight
from .runner import Ran, lay, read, result, run

PROFILERS = ("pytorch", "proton", "ncu")
CALLS = 5
SECONDS = 180.0
# Told on from the judge's parts; their other events are not this program's.
_TOLD = ("missing", "compile_error", "host_failure")
_FILES = {"pytorch": "timeline.json", "proton": "proton.hatchet", "scopes": "scopes.hatchet", "ncu": "ncu.csv"}
_SCOPES = b"triton.profiler.language"


def _own(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """This program's fields and the judge's of a job. @raises JobError."""
    if not isinstance(value, dict):
        raise JobError("a job is an object")
    rest = dict(value)
    own = {
        "folder": rest.pop("folder", None), "profilers": rest.pop("profilers", list(PROFILERS)),
        "workload": rest.pop("workload", None), "seconds": float(rest.pop("seconds", SECONDS)),
        "calls": int(rest.pop("calls", CALLS)),
    }  # fmt: skip
    if not isinstance(own["folder"], str) or not os.path.isabs(own["folder"]) or not os.path.isdir(own["folder"]):
        raise JobError("folder is the absolute path of a folder that is there, where files are written")
    bad = [one for one in own["profilers"] if one not in PROFILERS]
    if bad:
        raise JobError(f"profilers are of {', '.join(PROFILERS)}")
    if not 1 <= own["calls"] <= 1000:
        raise JobError("calls is 1 to 1000")
    return own, rest


@contextmanager
def _device_lock(path: str | None) -> Iterator[None]:
    """Nothing is timed on the device meanwhile."""
    if path is None:
        yield
        return
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


class Profiling:
    """One job."""

    def __init__(self, own: dict[str, Any], job: Job, emit: Emit) -> None:
        self.own, self.job, self.emit = own, job, emit
        self.folder = Path(own["folder"])

    def lay(self, pool: Pool) -> bool:
        """Lays out what the profiled processes need; False where there is nothing to run, which has been told."""

        def told(event: str, **fields: Any) -> None:
            if event in _TOLD:
                self.emit(event, **{"message": "", **fields})

        ready = built(self.job, pool, told)
        if ready is None:
            return False
        self.job = ready
        wanted = self.own["workload"]
        workloads = [w for w in ready.problem.workloads if wanted in (None, w.uuid)]
        if not workloads:
            raise JobError(f"workload: there is no {wanted!r}")
        workload = next((w for w in workloads if w.timed), workloads[0])
        session = Session(ready, pool, told)
        try:
            reference = session.start("reference", "eager")
            draw = session.draw(reference, workload, 0)
            if draw is None:
                raise JobError(f"workload {workload.uuid} does not exist in this problem's samples")
            lay(session, draw, workload, self.folder, self.own["calls"])
        finally:
            session.end()
        self.emit("laid", workload=workload.uuid)
        return True

    def watch(self, way: str, name: str, wrap: list[str]) -> Ran:
        """One profiled process, with the device to itself."""
        with _device_lock(self.job.lock):
            return run(self.job, way, wrap, self.folder, self.own["seconds"])

    def tell(self, way: str, name: str, ran: Ran, seconds: float) -> None:
        """What became of it: its file and what the process said, or why there is none."""
        found, path = result(self.folder, way), self.folder / "out" / _FILES[way]
        data = read(path)
        if found["ok"] and data:
            times = [int(t) for t in found.get("plain_ns") or [] if isinstance(t, (int, float))]
            sizes = found.get("bytes") if isinstance(found.get("bytes"), dict) else {}
            kept = self.folder / _FILES[way]
            kept.write_bytes(data)
            self.emit("profiled", profiler=name, way=way, seconds=seconds, path=str(kept), bytes=len(data), plain_ns=times,
                      tensor_bytes={str(k): int(v) for k, v in (sizes or {}).items()})  # fmt: skip
            return
        said = str(found.get("error") or ran.text).strip()[-1500:]
        why = f"no answer within {self.own['seconds']:.0f} s" if ran.timed_out else f"the profiled process ended with {ran.code}"
        if found["ok"]:
            why = "the profiler wrote nothing"
        self.emit("unprofiled", profiler=name, reason=f"{why}: {said}" if said else why, fix=None)

    def simple(self, way: str, name: str) -> None:
        """A profiler that the process starts itself."""
        begun = time.monotonic()
        ran = self.watch(way, name, [])
        self.tell(way, name, ran, time.monotonic() - begun)

    def counters(self) -> None:
        """ncu; metrics that this device does not have are left out and it is run again."""
        program, begun = find_ncu(), time.monotonic()
        assert program is not None
        log, metrics = self.folder / "out" / _FILES["ncu"], list(ncu.METRICS)
        for _ in range(3):
            ran = self.watch("ncu", "ncu", ncu.command(program, str(log), metrics, self.job.cache == "cold"))
            text = (read(log) or b"").decode(errors="replace") + ran.text
            unknown = ncu.unknown_metrics(text, metrics)
            if not unknown or '"ID"' in text:
                break
            metrics = [metric for metric in metrics if metric not in unknown]
        problem = None if '"ID"' in text else ncu.trouble(text)
        if problem is not None:
            self.emit("unprofiled", profiler="ncu", reason=problem[0], fix=problem[1])
            return
        self.tell("ncu", "ncu", ran, time.monotonic() - begun)

    def run(self, pool: Pool) -> None:
        """Preflight, then each profiler that is here."""
        job = self.job
        confined = bool(job.sandbox) or job.uid != 0
        found = preflight("cpu" if job.device == "cpu" else "cuda", confined=confined)
        found = [one for one in found if one["name"] in self.own["profilers"]]
        self.emit("preflight", profilers=found)
        for one in found:
            if one["ok"] is False:
                self.emit("unprofiled", profiler=one["name"], reason=one["detail"], fix=one["fix"])
        usable = [one["name"] for one in found if one["ok"] is not False]
        if not usable or not self.lay(pool):
            return
        if "pytorch" in usable:
            self.simple("pytorch", "pytorch")
        if "proton" in usable:
            self.simple("proton", "proton")
            assert self.job.candidate is not None
            if any(_SCOPES in data for _, data in self.job.candidate.files):
                self.simple("scopes", "proton scopes")
        if "ncu" in usable:
            self.counters()
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        (self.folder / "tensors.bin").unlink(missing_ok=True)


def answer(text: str, pool: Pool, emit: Emit) -> None:
    """One job from its text to its closing line, whatever happens."""
    start, ok = time.monotonic(), False
    try:
        own, rest = _own(json.loads(text))
        job = read_job({**rest, "mode": "verify"})
        Profiling(own, job, emit).run(pool)
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
        # A fault of this program itself: told as such, never as the candidate's.
        emit("error", code="infrastructure", message="".join(traceback.format_exception(error))[-4000:])
    emit("done", ok=ok, seconds=time.monotonic() - start)


def main(argv: list[str]) -> int:
    """See the module."""
    emit: Any = take_stdout()
    pool = Pool()
    try:
        if "--serve" in argv:
            for line in sys.stdin:
                if line.strip():
                    answer(line, pool, emit)
        else:
            answer(sys.stdin.read(), pool, emit)
    finally:
        pool.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
