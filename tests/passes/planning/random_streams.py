"""Small random graphs of writers, carriers, readers and norms, and random costs."""

from __future__ import annotations

import random

import numpy as np
import onnx_ir as ir

from graphopt.passes.planning.costs import Costs
from tests.passes.graphs import graph

BRANCHED = 1000
"""From this seed on there are streams that pass through an If."""


def random_body(seed: int) -> tuple[str, str]:
    """A small graph of writers, carriers, readers and norms, and its outputs."""
    pick = random.Random(seed)
    lines = ["x0 = MatMul(a, w0)", "x1 = Gather(t, ids)"]
    values, results = ["x0", "x1"], []
    for index in range(2, pick.randint(4, 7)):
        name, one, two = f"x{index}", pick.choice(values), pick.choice(values)
        norm = f"n{index} = LayerNormalization({one}, g, c)"
        weight = pick.choice(["m0", "m1"])
        mean, halves = f"d{index} = ReduceMean<axes = [2]>({one})", f"d{index}, e{index}"
        written = {
            (f"{name} = Add({one}, {two})",): 3,
            (f"{name} = Sub({one}, b)",): 1,
            (f"{name} = Reshape({one}, sizes)",): 1,
            (f"{name} = Softmax<axis = -1>({one})",): 1,
            (f"{name} = Relu({one})",): 1,
            (f"{name} = MatMul(a, {pick.choice(['w0', 'w1'])})",): 1,
            (mean, f"{name} = Sub({one}, d{index})"): 2,
            (
                f"{halves} = Split<axis = 1>({one})",
                f"{name} = Concat<axis = 1>(e{index}, {pick.choice('de')}{index})",
                *[f"z{index} = LayerNormalization(d{index}, g)"] * pick.randint(0, 1),
            ): 2,
            (norm, f"{name} = MatMul(n{index}, {weight})"): 3,
            (norm, f"p{index} = MatMul(n{index}, {weight})", f"{name} = Add(p{index}, b)"): 1,
            (norm, f"{name} = Relu(n{index})"): 1,
        }
        if seed >= BRANCHED:
            first, second = (_branch(pick, index, branch, one, two) for branch in "pq")
            branches = f"then_branch = f{index}{first}, else_branch = s{index}{second}"
            written[(f"{name} = If(on) <{branches}>",)] = 4
        lines += pick.choices(list(written), written.values())[0]
        values.append(name)
        results += [f"z{index}"] * lines[-1].startswith("z")
    for index, value in enumerate(pick.sample(values[1:], min(3, len(values) - 1))):
        lines += pick.choice(
            [
                [f"o{index} = LayerNormalization({value}, g)", f"y{index} = MatMul(o{index}, m2)"],
                [f"y{index} = LayerNormalization({value}, g, c)"],
                [f"y{index} = Tanh({value})"],
            ]
        )
        results.append(f"y{index}")
    return "\n".join(lines), ", ".join(f"float {name}" for name in results)


def _branch(pick: random.Random, index: int, result: str, one: str, two: str) -> str:
    """A branch of an If that hands on a value around it, or gives one of its own."""
    name = f"{result}{index}"
    body = pick.choice(
        [
            f"{name} = Identity({one})",
            f"{name} = Add({one}, {two})",
            f"{name} = Add({two}, b)",
            f"{name} = MatMul(a, w0)",
            f"{name} = Relu({one})",
            f"v{name} = LayerNormalization({one}, g, c) {name} = MatMul(v{name}, m0)",
        ]
    )
    return f" () => (float[] {name}) {{ {body} }}"


def random_model(seed: int) -> ir.Model:
    body, outputs = random_body(seed)
    return graph(
        body,
        "w0[4,8] w1[4,8] t[9,8] m0[8,8] m1[8,8] m2[8,5] b[8] g[8] c[8]",
        inputs="float[B,6,4] a, int64[B,6] ids, bool on",
        outputs=outputs,
        constants={"sizes": np.array([-1, 6, 8])},
    )


def random_costs(seed: int) -> Costs:
    pick = random.Random(seed)
    return Costs(
        layer_norm=1.0,
        rms_norm=pick.uniform(0.2, 0.9),
        add=pick.uniform(0, 0.3),
        recentring=pick.uniform(0.05, 0.9),
        launch=0.0,
        nanoseconds_per_byte=pick.choice([1e-4, 0.03, 0.3]),
        encoding=pick.uniform(0.05, 0.6),
        decoding=pick.uniform(0.05, 0.9),
    )
