"""What happens where the device itself fails: nobody is blamed for it, and the process is given up."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from ke_torch import judge as judging
from ke_torch.boundary.mailbox import DeviceFull
from ke_torch.judging.client import HostClient
from ke_torch.judging.warm import Pool


def full(*_: Any) -> Any:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def test_a_full_device_is_no_violation_of_the_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    client = object.__new__(HostClient)
    monkeypatch.setattr(HostClient, "_take", full)
    with pytest.raises(DeviceFull, match="no room for a copy"):
        client._answered({}, 1 << 20)


def test_a_process_whose_device_is_lost_says_so_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    def emit(event: str, **fields: Any) -> None:
        told.append({"event": event, **fields})

    pool = Pool()
    try:
        assert judging.judge(json.dumps({"mode": "verify"}), pool, emit)
        assert told[-1]["retired"] is False

        def lost(*_: Any) -> None:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.cuda, "synchronize", lost)
        assert not judging.judge(json.dumps({"mode": "verify"}), pool, emit)
        assert told[-1]["event"] == "done" and told[-1]["retired"] is True
    finally:
        pool.close()
