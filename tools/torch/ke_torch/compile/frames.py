"""What a confined worker hands out: a stream of headers (JSON) with bytes. The reading side trusts none of it."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from typing import Any

HEADER_CAP, PAYLOAD_CAP, TOTAL_CAP = 1 << 20, 64 << 20, 512 << 20
_LENGTHS = struct.Struct("<IQ")


class FrameError(Exception):
    """The stream is not one."""


class Writer:
    """Writes frames to a descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __call__(self, kind: str, payload: bytes = b"", **fields: Any) -> None:
        """One frame."""
        header = json.dumps({"kind": kind, **fields}, default=str).encode()
        data = memoryview(_LENGTHS.pack(len(header), len(payload)) + header + payload)
        while data:
            data = data[os.write(self.fd, data[: 1 << 20]) :]


class Reader:
    """Takes bytes as they come, gives frames."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.total = 0

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The frames that are complete now.

        @raises FrameError when it is no stream of frames, or too much.
        """
        self.total += len(data)
        if self.total > TOTAL_CAP:
            raise FrameError(f"more than {TOTAL_CAP >> 20} MiB of output")
        self.buffer += data
        while len(self.buffer) >= _LENGTHS.size:
            head, body = _LENGTHS.unpack_from(self.buffer)
            if head > HEADER_CAP or body > PAYLOAD_CAP:
                raise FrameError("a part of the output is too large")
            if len(self.buffer) < _LENGTHS.size + head + body:
                return
            start = _LENGTHS.size
            try:
                header = json.loads(self.buffer[start : start + head].decode())
            except (ValueError, UnicodeDecodeError, RecursionError) as error:
                raise FrameError(str(error)[:200]) from error
            if not isinstance(header, dict):
                raise FrameError("a header is no object")
            payload = bytes(self.buffer[start + head : start + head + body])
            del self.buffer[: start + head + body]
            yield header, payload
