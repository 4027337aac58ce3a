"""``python -m ke_torch.profile.enter LIMITS -- PROGRAM ...``: limits and another user, then the program in this one's place.

A profiler and what it watches run under it alike. The system-call filter is not put here: a profiler needs calls that a candidate
does not; programs that need none put it on themselves (`once.py`).
"""

from __future__ import annotations

import json
import os
import resource
import sys

from ..hosting.confine import die_with_parent

KINDS = (("file_bytes", resource.RLIMIT_FSIZE), ("cpu_seconds", resource.RLIMIT_CPU), ("address_space", resource.RLIMIT_AS),
         ("processes", resource.RLIMIT_NPROC))  # fmt: skip


def main(argv: list[str]) -> int:
    """Does not return where the program starts."""
    limits = json.loads(argv[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, kind in KINDS:
        value = int(limits.get(name) or 0)
        hard = resource.getrlimit(kind)[1]
        if value > 0 and (hard == resource.RLIM_INFINITY or value < hard):
            resource.setrlimit(kind, (value, value))
    uid = int(limits.get("uid") or 0)
    if uid != 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    die_with_parent()
    os.execv(argv[2], argv[2:])
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
