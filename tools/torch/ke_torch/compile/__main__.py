"""``python -m ke_torch.compile``: one job as JSON on stdin, events as JSON lines on stdout, `done` as the closing one.

With ``--serve`` a job a line, and the warm process is kept between them. Trusted: it never imports candidate code.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import Any

from ..formats import FormatError
from ..judging.events import Emit, take_stdout
from ..judging.job import JobError
from ..judging.launch import LaunchError
from .arch import ArchError
from .client import Warm
from .job import read_compile_job
from .program import Program


def answer(text: str, warm: Warm, emit: Emit) -> None:
    """One job from its text to its closing line, whatever happens."""
    start, ok = time.monotonic(), False
    try:
        Program(read_compile_job(json.loads(text)), warm, emit).run()
        ok = True
    except (JobError, ArchError, FormatError) as error:
        emit("error", code="unsupported" if isinstance(error, FormatError) else "invalid_job", message=str(error)[:2000])
    except json.JSONDecodeError as error:
        emit("error", code="invalid_job", message=f"no JSON: {error}"[:2000])
    except LaunchError as error:
        emit("error", code="infrastructure", message=str(error)[:4000])
    except Exception as error:
        # A fault of this program itself: told as such, never as the candidate's.
        emit("error", code="infrastructure", message="".join(traceback.format_exception(error))[-4000:])
    emit("done", ok=ok, seconds=time.monotonic() - start)


def main(argv: list[str]) -> int:
    """See the module."""
    emit: Any = take_stdout()
    warm = Warm()
    try:
        if "--serve" in argv:
            for line in sys.stdin:
                if line.strip():
                    answer(line, warm, emit)
        else:
            answer(sys.stdin.read(), warm, emit)
    finally:
        warm.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
