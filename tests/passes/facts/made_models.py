"""Models of nodes that are given as text, and inputs for them of many sizes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

__all__ = ["SIZES", "feeds_of", "model_from"]

_INPUTS = {
    "x": "float[N,S,8] x",
    "z": "float[M,S,8] z",
    "t": "float[N,T,8] t",
    "m": "float[8,P] m",
    "v": "float[D] v",
    "f": "float[N,S,E] f",
    "c": "float[N,4,H,W] c",
    "q": "float[N,S,Q] q",
    "u": "float u",
    "b": "bool[N,S,8] b",
    "k": "bool[N,1,1] k",
    "p": "bool[M,S,8] p",
    "i": "int64[K] i",
    "j": "int64[N,S] j",
    "e": "int64[N,S,8] e",
    "h": "float16[N,S,8] h",
    "g": "uint8[N,S,8] g",
    "go": "bool go",
    "trip": "int64 trip",
    "n0": "int64[1] n0",
    "n1": "int64[1] n1",
    "s3": "int64[3] s3",
}
_CONSTANTS = {
    "w": "float[8,8]",
    "row": "float[8]",
    "one": "float[1]",
    "kernel": "float[6,4,3,3]",
    "turned": "float[4,6,3,3]",
    "channels": "float[4]",
    "eights": "float[24]",
    "cell": "float[1,12,8]",
    "state": "float[1,12,3]",
    "gru": "float[1,9,8]",
    "hidden": "float[1,9,3]",
    "plain": "float[1,3,8]",
    "loop": "float[1,3,3]",
    "qkv": "float[8,24]",
    "narrow": "float[8,20]",
    "twenties": "float[20]",
    "words": "float[16,8]",
    "cache": "float[32,2]",
}
_NUMBERS = {
    "minus": [-1], "zero": [0], "first": [1], "two": [2], "three": [3], "four": [4], "eight": [8],
    "last": [(1 << 63) - 1], "back": [-(1 << 63)], "axes01": [0, 1], "axes12": [1, 2],
    "rest": [0, 0, -1], "flat": [-1, 8], "heads": [0, 0, 2, 4], "ones": [1, 1, 1],
    "ones2": [1, 1], "parts": [3, 5], "pads": [0, 1, 0, 0, 1, 0], "crop": [0, -1, 0, 0, 0, 0],
    "pads2": [1, 2], "repeats": [2, 1, 3], "zeros": [0, 0], "none": [0, 1, 2], "wide": [2, 1, 8],
    "far": [-10], "farther": [-100],
}  # fmt: skip
_SCALARS = {"s0": 0, "s1": 1, "s2": 2, "s3_": 3, "s8": 8}
_FLOATS = {"doubled": [1.0, 1.0, 2.0], "shrunk": [1.0, 0.4, 1.0], "same": [1.0, 1.0, 1.0]}

SIZES: tuple[dict[str, int], ...] = (
    {"N": 2, "S": 3, "M": 1, "T": 5, "P": 6, "D": 7, "E": 8, "H": 9, "W": 11, "Q": 8, "K": 2},
    {"N": 1, "S": 3, "M": 4, "T": 3, "P": 8, "D": 1, "E": 1, "H": 8, "W": 8, "Q": 1, "K": 1},
    {"N": 8, "S": 8, "M": 8, "T": 8, "P": 8, "D": 8, "E": 8, "H": 8, "W": 8, "Q": 8, "K": 3},
    {"N": 1, "S": 1, "M": 1, "T": 1, "P": 1, "D": 1, "E": 1, "H": 4, "W": 6, "Q": 8, "K": 1},
    {"N": 3, "S": 5, "M": 3, "T": 2, "P": 3, "D": 2, "E": 8, "H": 7, "W": 5, "Q": 1, "K": 5},
    {"N": 6, "S": 2, "M": 1, "T": 2, "P": 2, "D": 2, "E": 1, "H": 12, "W": 10, "Q": 8, "K": 2},
    {"N": 2, "S": 1, "M": 2, "T": 4, "P": 1, "D": 3, "E": 8, "H": 6, "W": 4, "Q": 8, "K": 1},
    {"N": 1, "S": 7, "M": 8, "T": 1, "P": 5, "D": 4, "E": 8, "H": 5, "W": 9, "Q": 8, "K": 4},
)
"""Sizes of the symbols: 1, the features, and different ones; not every graph takes all of them."""


def model_from(body: str, opset: int = 18) -> ir.Model:
    """A graph of these nodes, with random constants, its nodes in an order that runs."""
    words = set(re.findall(r"\w+", body))
    random = np.random.default_rng(0)
    constants = []
    for constant, kind in _CONSTANTS.items():
        shape = [int(size) for size in re.findall(r"\d+", kind.partition("[")[2])]
        constants.append((constant, kind, random.uniform(0.1, 1, shape)))
    constants += [(n, f"int64[{len(v)}]", np.array(v)) for n, v in _NUMBERS.items()]
    constants += [(n, "int64", np.array(v)) for n, v in _SCALARS.items()]
    constants += [(n, f"float[{len(v)}]", np.array(v)) for n, v in _FLOATS.items()]
    declared = ", ".join(
        f"{kind} {constant} = {{{', '.join(map(repr, array.reshape(-1).tolist()))}}}"
        for constant, kind, array in constants
        if constant in words
    )
    written = set(re.findall(r"\b(\w+)\b(?=(?: *, *[\w\"]+)* = \w[\w.]*[(<])", body))
    inputs = ", ".join(k for symbol, k in _INPUTS.items() if symbol in words - written)
    model = ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["": {opset}, "com.microsoft": 1]>
        g ({inputs}) => () <{declared}> {{ {body} }}"""
    )
    model.graph.sort()
    return model


def feeds_of(model: ir.Model, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Inputs at each binding of the symbols; integers are small, and differ from run to run."""
    random = np.random.default_rng(seed)
    choices = (
        (True, False) if {value.name for value in model.graph.inputs} & {"go", "s3"} else (True,)
    )
    for sizes, go in itertools.product(SIZES, choices):
        feeds = {}
        for value in model.graph.inputs:
            assert value.shape is not None and value.dtype is not None
            shape = [dim if isinstance(dim, int) else sizes[str(dim)] for dim in value.shape]
            kind = value.dtype.numpy()
            if value.name == "go":
                feeds["go"] = np.array(go)
            elif value.name == "s3":
                feeds["s3"] = np.array(
                    [sizes["N"], sizes["S"], 8] if go else [-1, 1, 8], dtype=np.int64
                )
            elif value.dtype == ir.DataType.INT64:
                feeds[value.name] = random.integers(0, min(sizes["S"], 3), shape).astype(kind)
            elif value.dtype == ir.DataType.BOOL:
                feeds[value.name] = random.integers(0, 2, shape).astype(kind)
            else:
                feeds[value.name] = random.uniform(0.1, 2, shape).astype(kind)
        yield feeds
