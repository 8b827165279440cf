"""WAVE files of sound as this project writes it: samples of 16 bits, the least significant byte first, one channel."""

import struct

SAMPLE_BYTES = 2


def wave_head(size_bytes: int, rate: int) -> bytes:
    """What makes a WAVE file of so many bytes of samples that follow it."""
    kind = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES)
    whole = struct.pack("<4sI4s4s", b"RIFF", 36 + size_bytes, b"WAVE", b"fmt ")
    return whole + kind + struct.pack("<4sI", b"data", size_bytes)
