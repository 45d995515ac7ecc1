"""Every choice that a plan under crms could make, and what it is worth.

A choice gives each stream a form, whole as it was, centred or compressed, and each norm a kind. An
op that carries several operands reads them all in the form of its result. From who reads what in
which form follows what has to be added: recentrings, encoders, decoders, and copies of constants.
"""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.axes import Stream
from graphopt.passes.planning.compression import compression
from graphopt.passes.planning.costs import Costs, RowCounts
from graphopt.passes.streams.affine import affine_of
from graphopt.passes.streams.trace import Norm, Trace

WHOLE, CENTRED, COMPRESSED = range(3)
"""Forms of a stream; and of what a norm reads: LayerNorm, RMSNorm, compressed RMSNorm."""

_TIE = 1.0  # nanoseconds that everything added costs on top, so that ties add nothing


class Choices:
    """Choices for one trace, a row each, and what they are worth."""

    def __init__(self, model: ir.Model, found: Trace, costs: Costs) -> None:
        self.found, self.costs, self.rows = found, costs, RowCounts(model)
        self.streams = list(found.streams)
        affines = {norm: affine_of(norm) for norm in found.norms}
        rate = costs.nanoseconds_per_byte
        self.squeezing = compression(
            model, found, affines, "orthonormal", costs, self.rows, rate
        ).gains
        self.converting = {}
        for norm, part in affines.items():
            elements = self.rows.elements(norm.stream)
            beta = {"none": 0, "stays": 1, "folds": part.added / norm.stream.axis.size}[part.beta]
            gain = elements * (costs.layer_norm - costs.rms_norm - costs.add * beta)
            self.converting[norm] = gain

    def forms(self) -> np.ndarray:
        """Every choice of forms, [choices, streams]; a constant is changed in place or kept."""
        options = []
        for stream in self.streams:
            facts = self.found.streams[stream]
            last = CENTRED if facts.constant else COMPRESSED
            options.append(range(1 if facts.source else last + 1))
        return np.array(list(itertools.product(*options)), dtype=np.int8)

    def kinds(self, norm: Norm) -> range:
        """The kinds that ``norm`` may become; one that does not pay as RMSNorm stays."""
        if self.converting[norm] <= 0:
            return range(1)
        return range(COMPRESSED + (self.squeezing.get(norm, 0) > 0))

    def possible(self, forms: np.ndarray) -> np.ndarray:
        """Where nobody reads a mean that a choice has changed, and nodes write one form."""
        place = {stream: forms[:, index] for index, stream in enumerate(self.streams)}
        moved = {stream: form != WHOLE for stream, form in place.items()}
        for _ in self.streams:  # as often as the longest path is long
            for stream, facts in self.found.streams.items():
                for other in (*facts.operands, *facts.siblings):
                    moved[stream] = moved[stream] | moved.get(other, False)
        allowed = np.ones(len(forms), dtype=bool)
        for stream, facts in self.found.streams.items():
            if facts.raw_readers:
                allowed &= ~moved[stream]
            for other in facts.siblings if stream.value.uses() else ():  # a dead result has no form
                allowed &= (place[stream] == COMPRESSED) == (place[other] == COMPRESSED)
        return allowed

    def added(
        self, stream: Stream, kinds: dict[Norm, int], forms: np.ndarray
    ) -> dict[str, np.ndarray]:
        """What has to stand behind ``stream`` so that everybody reads what he needs."""
        place = {found: forms[:, index] for index, found in enumerate(self.streams)}
        nobody = np.zeros(len(forms), dtype=bool)
        own = place.get(stream, np.full(len(forms), CENTRED))
        reads = [place[s] for s in self.streams if stream in self.found.streams[s].operands]
        reads += [np.full(len(forms), kind) for kind in kinds.values()]
        needs = {form: sum((read == form for read in reads), nobody) for form in range(3)}
        facts = self.found.streams.get(stream)
        if facts is not None and facts.constant:
            return {
                "copy": (own == WHOLE) & (needs[CENTRED] | needs[COMPRESSED]),
                "compressed copy": needs[COMPRESSED] & (needs[WHOLE] | needs[CENTRED]),
            }
        norms = {norm.node for norm in self.found.norms}
        tolerant = [] if facts is None else [n for n in facts.tolerant if n not in norms]
        whole = needs[WHOLE] | needs[CENTRED] | bool(tolerant)
        return {
            "recentring": (own == WHOLE) & (needs[CENTRED] | needs[COMPRESSED]),
            "encoder": (own != COMPRESSED) & needs[COMPRESSED],
            "decoder": (own == COMPRESSED) & whole,
        }

    def price(self, kind: str, stream: Stream) -> float:
        """Nanoseconds of what is added behind ``stream``."""
        if kind.endswith("copy"):
            return self.costs.nanoseconds_per_byte * stream.value.const_value.nbytes + _TIE
        rates = {
            "recentring": self.costs.recentring,
            "encoder": self.costs.encoding,
            "decoder": self.costs.decoding,
        }
        return rates[kind] * self.rows.elements(stream) + _TIE

    def worth(self, stream: Stream, kinds: dict[Norm, int], forms: np.ndarray) -> np.ndarray:
        """Gains of the norms that read ``stream`` minus what is added behind it."""
        gain = 0.0
        for norm, kind in kinds.items():
            gain += self.converting[norm] if kind != WHOLE else 0.0
            gain += self.squeezing[norm] if kind == COMPRESSED else 0.0
        added = self.added(stream, kinds, forms)
        return gain - sum(self.price(kind, stream) * needed for kind, needed in added.items())

    def best(self) -> float:
        """The greatest total over all forms and kinds."""
        forms = self.forms()
        forms = forms[self.possible(forms)]
        total = np.zeros(len(forms))
        for stream in (*self.streams, *self.found.centred):
            norms = [norm for norm in self.found.norms if norm.stream == stream]
            every = itertools.product(*map(self.kinds, norms))
            totals = [
                self.worth(stream, dict(zip(norms, one, strict=True)), forms) for one in every
            ]
            total += np.max(totals, axis=0)
        return float(total.max())
