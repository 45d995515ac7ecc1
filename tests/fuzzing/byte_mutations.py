"""Changes of the bytes of a file: what a broken disk, a bad copy or an attacker makes."""

from __future__ import annotations

import random
from collections.abc import Callable

from graphopt.files import wire_format

__all__ = ["mutate_bytes"]

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_HOSTILE = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


def mutate_bytes(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """What was done, in words, and the changed file."""
    kinds: list[Callable[[bytearray, int, random.Random], str]] = [
        _flip,
        _set,
        _cut,
        _remove,
        _insert,
        _repeat,
        _blank,
    ]
    changed = bytearray(content)
    said = []
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        said.append(draw.choice(kinds)(changed, _place(content, len(changed), draw), draw))
    return ", ".join(said), bytes(changed)


def _place(content: bytes, length: int, draw: random.Random) -> int:
    """A place in the file, mostly outside the weights, which are most of it."""
    if draw.random() < 0.2:
        return draw.randrange(max(1, length))
    parts = _structure(content)
    start, end = parts[draw.randrange(len(parts))]
    return min(draw.randrange(start, max(start + 1, end)), max(0, length - 1))


def _structure(content: bytes) -> list[tuple[int, int]]:
    """The spans of the fields that are no weights."""
    spans = []
    for field in wire_format.fields(content, 0, len(content)):
        spans.append((field.start, field.value))
        if field.number != _GRAPH:
            spans.append((field.value, field.end))
            continue
        for part in wire_format.fields(content, field.value, field.end):
            spans.append((part.start, part.value))
            if part.number != _INITIALIZER:
                spans.append((part.value, part.end))
                continue
            for piece in wire_format.fields(content, part.value, part.end):
                spans.append((piece.start, piece.value))
                if piece.number != _RAW_DATA:
                    spans.append((piece.value, piece.end))
    return [(start, end) for start, end in spans if end > start]


def _flip(content: bytearray, place: int, draw: random.Random) -> str:
    if place < len(content):
        content[place] ^= 1 << draw.randrange(8)
    return f"bit of byte {place} flipped"


def _set(content: bytearray, place: int, draw: random.Random) -> str:
    if place < len(content):
        content[place] = draw.choice((*_HOSTILE, draw.randrange(256)))
    return f"byte {place} set"


def _cut(content: bytearray, place: int, draw: random.Random) -> str:
    del content[place:]
    return f"cut at byte {place}"


def _remove(content: bytearray, place: int, draw: random.Random) -> str:
    del content[place : place + draw.choice((1, 2, 8, 64, 4096))]
    return f"bytes from {place} removed"


def _insert(content: bytearray, place: int, draw: random.Random) -> str:
    content[place:place] = draw.randbytes(draw.choice((1, 2, 8, 64)))
    return f"bytes inserted at {place}"


def _repeat(content: bytearray, place: int, draw: random.Random) -> str:
    length = draw.choice((1, 16, 256, 4096))
    content[place:place] = content[place : place + length]
    return f"{length} bytes at {place} repeated"


def _blank(content: bytearray, place: int, draw: random.Random) -> str:
    end = min(len(content), place + draw.choice((4, 16, 512)))
    content[place:end] = bytes([draw.choice((0, 0xFF))]) * (end - place)
    return f"bytes from {place} blanked"
