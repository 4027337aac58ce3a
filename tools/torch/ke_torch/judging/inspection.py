"""Which operators and kernels one untimed call of the candidate used; a problem may ask for kernels of its own."""

from __future__ import annotations

from typing import Any

from .compare import Difference
from .replies import HostFailure
from .session import Session
from .verify import Verification, emit_wrong


def inspect_candidate(session: Session, verification: Verification) -> bool:
    """Tells what was dispatched; False when the problem asks for an own kernel and there is none."""
    host, workloads = verification.candidate, session.job.problem.workloads
    if host is None:
        return False
    # The host holds the inputs of the workload that came last.
    workload = workloads[-1]
    try:
        found: dict[str, Any] = host.request("profile", destinations=workload.destinations)
    except HostFailure as failure:
        session.emit("undispatched", workload=workload.uuid, reason=f"{failure.code}: {failure.message[-500:]}")
        return not session.job.require_own_kernel
    work = str(found.get("work"))
    session.emit(
        "dispatched", workload=workload.uuid, work=work, own_kernels=found.get("own_kernels", []),
        torch_operators=found.get("torch_operators", {}), kernels=found.get("kernels", {}),
        triton_launches=found.get("triton_launches", {}), share_own=found.get("share_own"),
    )  # fmt: skip
    if session.job.require_own_kernel and work not in ("own", "mixed"):
        why = Difference(code="no_own_kernel", message="the problem asks for a kernel of the candidate's own; none was launched")
        emit_wrong(session, workload.uuid, "dispatch", why)
        return False
    return True
