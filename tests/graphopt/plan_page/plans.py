"""Plans by hand and of small graphs, for the tests of their pages."""

from __future__ import annotations

from graphopt.json_values import to_json
from graphopt.passes.report import NormDecision, Place, PlanSummary, ResidualStream
from graphopt.reporting import PLAN_SCHEMA

__all__ = ["as_json", "deep_plan", "forked_plan", "post_ln_plan"]


def as_json(plan: PlanSummary) -> str:
    """The plan as ``inspect --json`` prints it."""
    return to_json({"schema": PLAN_SCHEMA, "plan": plan, "metadata": {}})


def _norm(name: str, value: str, **changes: object) -> NormDecision:
    facts = {"affine": "beta folded", "gamma": f"{name}.weight", "converted": True, **changes}
    return NormDecision(f"/{name}/Norm", "LayerNormalization", value, 2, 64, **facts)


def deep_plan(layers: int = 100, kept: int | None = None) -> PlanSummary:
    """A Pre-LN network; the first norm of the block ``kept`` stays, as a graph output reads it."""
    norms, places = [], [Place("x0", "centred", absorbing=("model.wte.weight", "model.<pos>.w"))]
    for block in range(layers):
        for part, writer in (("ln_1", "attn"), ("ln_2", "mlp")):
            stays = block == kept and part == "ln_1"
            reason = "graph output hidden <3> needs the mean of x" if stays else ""
            value = places[-1].value
            changes = {"converted": False, "reason": reason, "cause": "reader", "affine": ""}
            norm = _norm(f"model.h.{block}.{part}", value, **changes if stays else {})
            norms.append(norm)
            readers = ("graph output hidden <3>",) if stays else ()
            places[-1] = _read(places[-1], norm, readers)
            weights = tuple(
                f"model.h.{block}.{writer}.c_proj.{name}" for name in ("weight", "bias")
            )
            after = (len(places) - 1,)
            places.append(Place(f"x{len(places)}", "centred", after, absorbing=weights))
    norms.append(_norm("model.ln_f", places[-1].value))
    places[-1] = _read(places[-1], norms[-1], ())
    return PlanSummary("rms", "cpu", tuple(norms), streams=(ResidualStream(2, 64, tuple(places)),))


def _read(place: Place, norm: NormDecision, readers: tuple[str, ...]) -> Place:
    state = "raw" if readers else place.state
    return Place(
        place.value, state, place.after, place.absorbing, norms=(norm.name,), readers=readers
    )


def post_ln_plan(layers: int = 12) -> PlanSummary:
    """A network that adds up outputs of norms, none of which is converted but the first."""
    norms = [_norm("embeddings", "x0", affine="beta kept: Add a reads it")]
    places = [Place("x0", "centred", absorbing=("words",), norms=(norms[0].name,))]
    for block in range(layers):
        for part in ("attention", "output"):
            above, index = norms[-1], len(places)
            places.append(
                Place(
                    f"n{index}",
                    "raw",
                    (index - 1,),
                    norm_outputs=(above.name,),
                    readers=("MatMul q",),
                )
            )
            reason = f"LayerNormalization {above.name} writes it: the mean of n cannot be removed"
            name = f"layer.{block}.{part}"
            norms.append(
                _norm(
                    name,
                    f"x{index}",
                    converted=False,
                    reason=reason,
                    cause="norm output",
                    affine="",
                )
            )
            weights = (f"{name}.dense.bias",)
            places.append(
                Place(f"x{index}", "raw", (index,), others=weights, norms=(norms[-1].name,))
            )
    return PlanSummary("rms", "cpu", tuple(norms), streams=(ResidualStream(2, 64, tuple(places)),))


def forked_plan() -> PlanSummary:
    """A stream that forks, another one that is written by Relu, and norms that are on none."""
    norms = [_norm(name, value) for name, value in (("a", "x0"), ("b", "x1"), ("c", "x2"))]
    norms += [
        _norm("d", "r", converted=False, reason="Relu r writes it", cause="source", affine=""),
        _norm("lost", "z", converted=False, reason="its Mean is used", cause="form", affine=""),
    ]
    names = [norm.name for norm in norms]
    fork = (
        Place("x0", "centred", absorbing=("w",), norms=(names[0],)),
        Place("x1", "centred", (0,), absorbing=("v1",), norms=(names[1],)),
        Place("x2", "raw", (0,), others=("v2",), norms=(names[2],), recentrings=("x2",)),
    )
    single = (Place("r", "raw", sources=("Relu r writes it",), norms=(names[3],)),)
    streams = (ResidualStream(2, 64, fork), ResidualStream(2, 64, single))
    return PlanSummary("rms", "cpu", tuple(norms), streams=streams)
