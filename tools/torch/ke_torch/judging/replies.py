"""What the judge gets from a host: a failure with its code, the times of calls, an answer in the judge's own memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ..boundary import wire

if TYPE_CHECKING:
    from .client import HostClient


class HostFailure(Exception):
    """A host that gave no answer: code of docs/threat-model.md, and what is known about it."""

    def __init__(self, code: str, message: str, exit_code: int = -1, signal_number: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.exit_code, self.signal_number = code, message, exit_code, signal_number
        self.host: HostClient | None = None


@dataclass
class Call:
    """Times of one call, ns."""

    judge_ns: int = 0
    inner_ns: int = 0
    device_ns: int = 0
    tail_ns: int = 0
    arm_ns: int = 0
    finish_ns: int = 0
    collect_ns: int = 0


@dataclass
class Batch:
    """Times of queued calls, ns: each by the device's events and by the judge's clock from its release until it was over."""

    device_ns: list[int] = field(default_factory=list)
    null_ns: list[int] = field(default_factory=list)
    judge_ns: list[int] = field(default_factory=list)
    total_ns: int = 0
    host_ns: int = 0
    finish_ns: int = 0
    expired: bool = False


@dataclass
class Answer:
    """What a host answered, copied into the judge's memory."""

    tree: Any
    records: list[wire.Record]
    tensors: list[torch.Tensor]
    inputs: list[torch.Tensor]
    probes: list[torch.Tensor]
    patched: list[str]
    threads: dict[str, int] = field(default_factory=dict)
