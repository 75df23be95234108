"""Token ids and log-probabilities as compressed blobs of 32-bit values."""

from array import array
from collections.abc import Sequence
from typing import Any

import zstandard


def pack(code: str, values: Sequence[float]) -> bytes:
    """`code`: "I" for token ids, "f" for log-probabilities."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(array(code, values).tobytes())


def unpack(code: str, blob: bytes) -> tuple[Any, ...]:
    values = array(code)
    values.frombytes(zstandard.decompress(blob))
    return tuple(values)
