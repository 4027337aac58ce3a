"""A judge that serves many jobs, as a caller would drive it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

TOOL = Path(__file__).resolve().parent.parent


class Driver:
    """`python -m ke_torch.judge --serve` behind two pipes."""

    def __init__(self) -> None:
        env = {**os.environ, "PYTHONPATH": str(TOOL), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [sys.executable, "-m", "ke_torch.judge", "--serve"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True)

    def ask(self, job: dict[str, Any], seconds: float = 120) -> list[dict[str, Any]]:
        """Events of one job, the closing line among them."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        events: list[dict[str, Any]] = []
        guard = threading.Timer(seconds, self.process.kill)
        guard.start()
        try:
            for line in self.process.stdout:
                events.append(json.loads(line))
                if events[-1]["event"] == "done":
                    return events
        finally:
            guard.cancel()
        raise AssertionError(f"the judge ended after {events[-3:]}")

    def close(self) -> None:
        """Hangs up; the judge ends by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The events of one kind."""
    return [e for e in events if e["event"] == kind]


def codes(events: list[dict[str, Any]]) -> list[str]:
    """Everything that speaks against a candidate, in order."""
    found = [e["code"] for e in events if e["event"] in ("wrong", "host_failure", "conduct", "error")]
    return found + [flag for e in of(events, "benchmarked") for flag in e["flags"]]


def passed(events: list[dict[str, Any]]) -> bool:
    """Whether every workload was verified and passed."""
    verified = of(events, "verified")
    return bool(verified) and all(e["passed"] for e in verified)
