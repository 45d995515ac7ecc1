"""What a result can be made for: rows for execution providers, sets of operators, and runtimes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from graphopt.errors import UsageError

__all__ = [
    "CPU",
    "DESTINATIONS",
    "OPERATOR_SETS",
    "PROVIDERS",
    "Costs",
    "Destination",
    "OperatorSet",
    "Provider",
    "destination_named",
    "operator_set_named",
    "provider_named",
]


@dataclasses.dataclass(frozen=True)
class Costs:
    """Nanoseconds per element, and for each node that runs.

    Attributes:
        layer_norm: LayerNormalization.
        rms_norm: RMSNorm with gamma.
        add: An Add of a vector (beta, or a bias).
        recentring: ReduceMean and Sub. It carries a margin of 15%, so that one recentring never
            pays for one norm: that would be a tie within what can be measured.
        launch: Nanoseconds for each node, whatever its size.
        nanoseconds_per_byte: Exchange rate for a weight that is held twice: a copy must save one
            nanosecond a run for each so many bytes.
        encoding: From d centred features to d - 1.
        decoding: From d - 1 features back to d.
        multiply_add: One multiplication and addition of a MatMul, or None where that is not known.
    """

    layer_norm: float
    rms_norm: float
    add: float
    recentring: float
    launch: float
    nanoseconds_per_byte: float
    encoding: float
    decoding: float
    multiply_add: float | None = None


@dataclasses.dataclass(frozen=True)
class Provider:
    """An execution provider of ONNX Runtime.

    Attributes:
        name: What options, libraries of kernels and reports call it.
        runtime: What ONNX Runtime calls it.
        title: What people call it.
        extra: The extra of the package graphopt that brings a runtime with it.
        is_device: It computes in memory of its own, while the calling thread goes on. What is for
            it is verified on the CPU first, where that can run it, and then on it.
        checked_as: The field of a report for the verification on it.
        fuses_skip_norms: ONNX Runtime's fused residual-and-norm operators are faster there than
            their parts.
        attention_types: The types for which ONNX Runtime has a kernel of MultiHeadAttention there.
        has_all_kernels: graphopt's library has kernels for every operator of its domain there,
            LayerNorms and GELUs too, which are faster than ONNX Runtime's. An operator without one
            would run on the CPU, where the library is registered.
        exact_options: The provider's options with which it multiplies float32 in float32: what a
            verification runs with.
        costs: What the plan weighs.
    """

    name: str
    runtime: str
    title: str
    extra: str
    is_device: bool
    checked_as: str
    fuses_skip_norms: bool
    attention_types: tuple[str, ...]
    has_all_kernels: bool
    exact_options: Mapping[str, str]
    costs: Costs


@dataclasses.dataclass(frozen=True)
class OperatorSet:
    """The operators that a result may have. The steps of the pipeline that write them name it.

    Attributes:
        name: What options and reports call it.
        meaning: Whose operators, for the help.
        runs_anywhere: Any ONNX Runtime that reads the opset runs the result on the CPU. Where not,
            a result for another provider may have operators that the CPU has no kernel for.
        has_kernels: graphopt's native kernels take over, where they are registered.
        simplified_norms: RMSNorms become the SimplifiedLayerNormalization of ONNX Runtime.
    """

    name: str
    meaning: str
    runs_anywhere: bool
    has_kernels: bool
    simplified_norms: bool


@dataclasses.dataclass(frozen=True)
class Destination:
    """Where a result goes, for people who know that and not which operators are read there.

    Attributes:
        name: What options and reports call it.
        meaning: For the help.
        ops: The set of operators for it on the CPU.
        ops_on_device: The set for another execution provider of ONNX Runtime; "" where it has none.
    """

    name: str
    meaning: str
    ops: str
    ops_on_device: str = ""

    def ops_for(self, provider: Provider) -> str:
        """The set of operators for this destination.

        Raises:
            UsageError: It does not run on ``provider``.
        """
        if not provider.is_device:
            return self.ops
        if not self.ops_on_device:
            raise UsageError(
                f"target {self.name!r} is not ONNX Runtime on {provider.title}: leave out the "
                f"provider {provider.name!r}, or choose another target"
            )
        return self.ops_on_device


# The costs on the CPU were measured on one thread of an AVX-512 machine with ONNX Runtime 1.31.1,
# 197 rows of 768 features: LayerNormalization 71 to 76 us, RMSNorm 35 to 39 us, RMSNorm with a beta
# Add 53 us, ReduceMean and Sub 32 to 33 us, an encoder 51 us and a decoder 67 us (basis
# orthonormal), and 0.1 us for a node on one row. There the fused residual-and-norm kernels are
# scalar code, and graphopt's LayerNorm takes 2/3 of the time of ONNX Runtime's on 197 rows, and no
# more on one (1.32.0, AVX2). The price of a multiplication is an estimate, not measured: a whole
# call of ViT-Ti/16 took 28.4 ms on an AVX-512 machine for about 1.26 billion of them (by its
# shapes), 0.0226 ns each, of which 0.02 are taken to be theirs. The costs on CUDA are an estimate
# too: bytes moved at 2.5 TB/s, and 2.5 us for each launch.
PROVIDERS: Mapping[str, Provider] = {
    row.name: row
    for row in (
        Provider(
            name="cpu",
            runtime="CPUExecutionProvider",
            title="CPU",
            extra="cpu",
            is_device=False,
            checked_as="verification",
            fuses_skip_norms=False,
            attention_types=("FLOAT",),
            has_all_kernels=True,
            exact_options={},
            costs=Costs(0.486, 0.245, 0.106, 0.215 * 1.15, 100.0, 2e-4, 0.34, 0.44, 0.02),
        ),
        Provider(
            name="cuda",
            runtime="CUDAExecutionProvider",
            title="CUDA",
            extra="gpu",
            is_device=True,
            checked_as="verification_on_cuda",
            fuses_skip_norms=True,
            attention_types=("FLOAT", "FLOAT16"),
            has_all_kernels=False,
            exact_options={"use_tf32": "0"},
            costs=Costs(0.0040, 0.0032, 0.0032, 0.0050 * 1.15, 2500.0, 2e-4, 0.0096, 0.0128),
        ),
    )
}

CPU = PROVIDERS["cpu"]
"""Where every result is verified first, and what a runtime falls back to."""

OPERATOR_SETS: Mapping[str, OperatorSet] = {
    row.name: row
    for row in (
        OperatorSet(
            name="custom",
            meaning="graphopt's own too, which have bodies in ONNX's and native kernels",
            runs_anywhere=True,
            has_kernels=True,
            simplified_norms=False,
        ),
        OperatorSet(
            name="standard",
            meaning="ONNX's alone",
            runs_anywhere=True,
            has_kernels=False,
            simplified_norms=False,
        ),
        OperatorSet(
            name="ort",
            meaning="ONNX Runtime's own too, by provider",
            runs_anywhere=False,
            has_kernels=False,
            simplified_norms=True,
        ),
    )
}

# docs/runtimes.md shows what each runtime was found to read. On CUDA, stock ONNX Runtime is fast at
# its own fused residual-and-norm operators, which no function body becomes.
DESTINATIONS: Mapping[str, Destination] = {
    row.name: row
    for row in (
        Destination("onnxruntime", "ONNX Runtime as it is installed", "custom", "ort"),
        Destination("onnxruntime+library", "graphopt's kernels in it", "custom", "custom"),
        Destination("openvino", "OpenVINO", "standard"),
        Destination("tract", "tract", "standard"),
        Destination("any", "whatever reads ONNX", "standard"),
    )
}

_Row = TypeVar("_Row")


def provider_named(name: str) -> Provider:
    """The row of an execution provider.

    Raises:
        UsageError: There is none of this name.
    """
    return _row("execution provider", PROVIDERS, name)


def operator_set_named(name: str) -> OperatorSet:
    """The row of a set of operators.

    Raises:
        UsageError: There is none of this name.
    """
    return _row("ops", OPERATOR_SETS, name)


def destination_named(name: str) -> Destination:
    """The row of where a result goes.

    Raises:
        UsageError: There is none of this name.
    """
    return _row("target", DESTINATIONS, name)


def _row(what: str, rows: Mapping[str, _Row], name: str) -> _Row:
    if name not in rows:
        raise UsageError(f"unknown {what} {name!r}; choose {' or '.join(rows)}")
    return rows[name]
