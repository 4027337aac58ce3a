"""What the runs over many problems share: a judge that is started anew when it dies, outcomes, results written as they come."""

from __future__ import annotations

import datetime
import json
import math
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOOL = HERE.parents[1] / "tools" / "torch"
sys.path.insert(0, str(TOOL / "tests"))
sys.path.insert(0, str(HERE))
from driver import Driver, codes, of, passed  # noqa: E402
from judge import versions  # noqa: E402

Event = dict[str, Any]


class Runner:
    """Asks one judge after the other: one that dies or hangs is replaced, and its job has no answer."""

    def __init__(self) -> None:
        self.driver: Driver | None = None

    def ask(self, job: dict[str, Any], seconds: float) -> list[Event]:
        """The job's events; an event `error` with the code `infrastructure` where the judge gave no answer in time."""
        if self.driver is None:
            self.driver = Driver()
        try:
            events = self.driver.ask(job, seconds)
            if events[-1].get("retired"):
                # A fault of the device ended its use of it.
                self.driver.close()
                self.driver = None
            return events
        except (AssertionError, OSError, ValueError) as error:
            self.driver.process.kill()
            self.driver.process.wait()
            self.driver = None
            return [
                {"event": "error", "code": "infrastructure", "message": f"no answer within {seconds:.0f} s: {str(error)[-500:]}"}
            ]

    def close(self) -> None:
        """Ends the judge."""
        if self.driver is not None:
            self.driver.close()


def reasons(events: list[Event]) -> list[str]:
    """Why a job failed, a line each."""
    found = []
    for event in events:
        if event["event"] == "wrong":
            what = event["message"] or f"got {event['got_text']}, expected {event['expected_text']}"
            found.append(f"{event['code']} in {event['workload']}, {event['trial']}: {what}"[:300])
        elif event["event"] in ("host_failure", "error", "conduct", "unmeasured"):
            last = str(event.get("message", "")).strip().splitlines()[-1:]
            found.append(f"{event.get('code', event['event'])} ({event.get('role', 'judge')}): {' '.join(last)}"[:300])
    if not found:
        # Nothing spoke against it, and nothing was judged.
        found = [f"skipped {e['workload']}, {e['trial']}: {e['reason']}"[:300] for e in of(events, "skipped")]
    return found[:4]


def outcome(events: list[Event]) -> dict[str, Any]:
    """Whether it passed and why not, whose kernels ran, what was measured."""
    row: dict[str, Any] = {"passed": passed(events), "codes": codes(events)}
    verified = of(events, "verified")
    if verified:
        row |= {
            "workloads": len(verified),
            "worst_error": max((e["worst_error"] or 0.0) for e in verified),
            "weights": verified[0]["weights"],
            "oracle": verified[0]["oracle"],
            "trials_skipped": sorted({s for e in verified for s in e["skipped"]}),
        }
    for event in of(events, "dispatched"):
        row |= {key: event[key] for key in ("work", "own_kernels", "torch_operators", "share_own")}
    for event in of(events, "benchmarked"):
        row["time"] = event["candidate"]
        row["flags"] = event["flags"]
        for baseline in event["baselines"]:
            row[baseline["name"]] = {key: baseline[key] for key in ("ratio", "low", "high", "timing")}
    for event in of(events, "device"):
        if event.get("not_reused"):
            row["not_reused"] = event["not_reused"]
    missing = [f"{e['what']}: {e['reason']}"[-300:] for e in of(events, "missing")]
    if missing:
        row["missing"] = missing
    if not row["passed"] or row["codes"]:
        row["why"] = reasons(events)
    return row


def geometric_mean(values: list[float]) -> float | None:
    """Of ratios; None of none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


class Record:
    """Results as data, written after every case: a run that is cut keeps what it had."""

    def __init__(self, path: Path | None, resume: bool) -> None:
        self.path = path
        self.begun = time.monotonic()
        self.data: dict[str, Any] = {"cases": {}}
        if path is not None and resume and path.exists():
            self.data = json.loads(path.read_text(encoding="utf8"))
        self.lock = threading.Lock()
        runs = self.data.setdefault("runs", [])
        self.run: dict[str, Any] = {
            "command": shlex.join(["python3", os.path.relpath(sys.argv[0], HERE.parents[1]), *sys.argv[1:]]),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "versions": versions(),
            "processors": os.cpu_count(),
        }
        runs.append(self.run)

    def has(self, part: str, name: str) -> bool:
        """Whether a case is there already."""
        return name in self.data["cases"].get(part, {})

    def add(self, part: str, name: str, row: dict[str, Any], summary: Callable[[Record], dict[str, Any]]) -> None:
        """One case, and what all have come to."""
        with self.lock:
            self.data["cases"].setdefault(part, {})[name] = row
            self.data["summary"] = summary(self)
            self.run["seconds"] = round(time.monotonic() - self.begun, 1)
            if self.path is not None:
                new = self.path.with_suffix(".part")
                new.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf8")
                new.replace(self.path)

    def rows(self, part: str) -> dict[str, dict[str, Any]]:
        """The cases of a part."""
        return dict(self.data["cases"].get(part, {}))


def spread(
    items: Sequence[tuple[str, Any]],
    jobs: int,
    seconds: float,
    weight: Callable[[str], float],
    room: float,
    work: Callable[[Runner, str, Any], None],
) -> int:
    """Does the items in order by so many judges beside each other; how many were not begun in time.

    What runs at once weighs no more than `room` together; an item that is heavier than that runs alone.
    """  # fmt: skip
    end, queue, changed = time.monotonic() + seconds, list(items), threading.Condition()
    flying: dict[str, float] = {}
    failures: list[BaseException] = []

    def take() -> tuple[str, Any] | None:
        with changed:
            while queue and time.monotonic() < end and not failures:
                for k, (name, item) in enumerate(queue):
                    if not flying or sum(flying.values()) + weight(name) <= room:
                        flying[name] = weight(name)
                        del queue[k]
                        return name, item
                changed.wait(1)
        return None

    def worker() -> None:
        runner = Runner()
        try:
            while (one := take()) is not None:
                try:
                    work(runner, *one)
                finally:
                    with changed:
                        del flying[one[0]]
                        changed.notify_all()
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            runner.close()

    threads = [threading.Thread(target=worker) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return len(queue)
