"""Changes of a graph that leave a well-formed file: other wiring, weights, shapes and operators."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["mutate_graph"]

_DIMS = (
    "0",
    "2**10**9",
    "N/0",
    "N - N",
    "",
    "batch size",
    " + ".join(f"n{i}" for i in range(2000)),
)


def mutate_graph(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """What was done, in words, and the changed file."""
    model = onnx.ModelProto.FromString(content)
    said = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        said.append(draw.choice(_CHANGES)(model, draw))
    return ", ".join(said), model.SerializeToString()


def _node(model: onnx.ModelProto, draw: random.Random) -> onnx.NodeProto:
    return draw.choice(model.graph.node)


def _rewire(model: onnx.ModelProto, draw: random.Random) -> str:
    """Read another value that an earlier node, an input or an initializer gives."""
    index = draw.randrange(len(model.graph.node))
    node = model.graph.node[index]
    earlier = [name for other in model.graph.node[:index] for name in other.output]
    names = [*earlier[-20:], *(value.name for value in model.graph.input)]
    names += [tensor.name for tensor in model.graph.initializer][:20]
    if not node.input or not names:
        return "nothing rewired"
    position = draw.randrange(len(node.input))
    node.input[position] = draw.choice([*names, ""])
    return f"input {position} of {node.op_type} rewired"


def _swap_inputs(model: onnx.ModelProto, draw: random.Random) -> str:
    node = _node(model, draw)
    names = list(node.input)
    draw.shuffle(names)
    node.input[:] = names
    return f"inputs of {node.op_type} shuffled"


def _drop_node(model: onnx.ModelProto, draw: random.Random) -> str:
    """Let who reads a node's result read its first operand."""
    index = draw.randrange(len(model.graph.node))
    node = model.graph.node[index]
    if not node.input or not node.output:
        return "nothing dropped"
    given, taken = node.output[0], node.input[0]
    for other in model.graph.node:
        other.input[:] = [taken if name == given else name for name in other.input]
    if given not in {value.name for value in model.graph.output}:
        del model.graph.node[index]
    return f"{node.op_type} dropped"


def _other_operator(model: onnx.ModelProto, draw: random.Random) -> str:
    node, other = _node(model, draw), _node(model, draw)
    said = f"{node.op_type} became {other.op_type}"
    node.op_type, node.domain = other.op_type, other.domain
    if draw.random() < 0.5:
        del node.attribute[:]
        node.attribute.extend(other.attribute)
    return said


def _weight(model: onnx.ModelProto, draw: random.Random) -> str:
    """Other entries, another size, or another type of one weight."""
    if not model.graph.initializer:
        return "no weight changed"
    tensor = draw.choice(model.graph.initializer)
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError):
        return "no weight changed"
    kind = draw.choice(("scale", "poison", "zero", "shape", "type", "flat", "short", "long"))
    name = tensor.name
    if kind in ("scale", "poison", "zero", "flat") and array.dtype.kind == "f" and array.size:
        array = array.copy()
        with np.errstate(all="ignore"):
            if kind == "scale":
                array *= array.dtype.type(draw.choice((1e-30, 1e4, 6e4, 1e30, 3e38)))
            elif kind == "poison":
                array.reshape(-1)[draw.randrange(array.size)] = draw.choice((np.nan, np.inf, -3e38))
            else:
                array[...] = 0 if kind == "zero" else draw.choice((1, -1, 1e3))
        tensor.CopyFrom(numpy_helper.from_array(array, name))
    elif kind == "shape":
        dims = list(tensor.dims)
        draw.shuffle(dims)
        tensor.dims[:] = draw.choice(([*dims, 1], [1, *dims], dims, [array.size], [-1], [2**40, 0]))
    elif kind == "type":
        tensor.data_type = draw.choice((0, 1, 2, 6, 7, 8, 9, 10, 11, 14, 16, 17, 22, 99))
    elif kind == "short":
        tensor.raw_data = tensor.raw_data[: -draw.choice((1, 2, 4))]
    else:
        tensor.raw_data = tensor.raw_data + bytes(draw.choice((1, 4, 5000)))
    return f"weight {name[:40]!r}: {kind}"


def _integers(model: onnx.ModelProto, draw: random.Random) -> str:
    """Another entry of a constant that says a shape, an axis or an index."""
    tensors = [
        tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT64
    ]
    tensors += [
        attribute.t
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.HasField("t") and attribute.t.data_type == TensorProto.INT64
    ]
    if not tensors:
        return "no integer changed"
    tensor = draw.choice(tensors)
    try:
        array = numpy_helper.to_array(tensor).copy()
    except ValueError:  # another change made less of it than its shape says
        return "no integer changed"
    if array.size:
        choices = (-(2**63), -2, -1, 0, 1, 2, 5, 2**31, 2**40, 2**63 - 1)
        array.reshape(-1)[draw.randrange(array.size)] = draw.choice(choices)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return f"an integer of {tensor.name[:40]!r}"


def _attribute(model: onnx.ModelProto, draw: random.Random) -> str:
    nodes = [node for node in model.graph.node if node.attribute]
    if not nodes:
        return "no attribute changed"
    node = draw.choice(nodes)
    attribute = draw.choice(node.attribute)
    if attribute.HasField("i"):
        attribute.i = draw.choice((-(2**63), -3, -2, -1, 0, 1, 2, 3, 2**31, 2**63 - 1))
    elif attribute.HasField("f"):
        attribute.f = draw.choice((0.0, -1.0, 1e-12, 1e30, float("nan"), float("inf")))
    elif len(attribute.ints):
        attribute.ints[draw.randrange(len(attribute.ints))] = draw.choice(
            (-(2**40), -1, 0, 1, 2, 9)
        )
    else:
        node.attribute.remove(attribute)
    return f"{node.op_type}.{attribute.name}"


def _declared(model: onnx.ModelProto, draw: random.Random) -> str:
    """A declared dimension of an input, an output or a value is another one."""
    graph = model.graph
    infos = [*graph.input, *graph.output, *graph.value_info[:50]]
    info = draw.choice(infos)
    dims = info.type.tensor_type.shape.dim
    if not dims:
        info.type.tensor_type.shape.dim.add(dim_value=draw.choice((0, 1, 7)))
        return f"{info.name[:40]!r} got a dimension"
    dim = draw.choice(dims)
    if draw.random() < 0.5:
        dim.dim_value = draw.choice((-(2**63), -1, 0, 1, 2, 3, 2**31, 2**40, 2**63 - 1))
    else:
        dim.dim_param = draw.choice((*_DIMS, "batch", "N"))
    return f"a dimension of {info.name[:40]!r}"


def _lie(model: onnx.ModelProto, draw: random.Random) -> str:
    node = _node(model, draw)
    if not node.output:
        return "no lie told"
    shape = [draw.choice((1, 2, 8, 32, "batch", "N", "0", None)) for _ in range(draw.randrange(5))]
    kind = draw.choice((TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64))
    info = helper.make_tensor_value_info(draw.choice(node.output), kind, shape)
    draw.choice((model.graph.value_info, model.graph.value_info, model.graph.output)).append(info)
    return f"{info.name[:40]!r} declared {shape}"


def _overridable(model: onnx.ModelProto, draw: random.Random) -> str:
    if not model.graph.initializer:
        return "nothing overridable"
    tensor = draw.choice(model.graph.initializer)
    info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
    model.graph.input.append(info)
    return f"{tensor.name[:40]!r} overridable"


def _output(model: onnx.ModelProto, draw: random.Random) -> str:
    node = _node(model, draw)
    name = draw.choice(node.output) if node.output else "ghost"
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return f"{name[:40]!r} is an output"


def _function(model: onnx.ModelProto, draw: random.Random) -> str:
    """Put a node into a function of its own; now and then into one that calls itself."""
    index = draw.randrange(len(model.graph.node))
    node = model.graph.node[index]
    opset = [entry for entry in model.opset_import if entry.domain != "local"]
    name = f"f{len(model.functions)}"
    body = onnx.NodeProto()
    body.CopyFrom(node)
    nodes = [body]
    inputs = list(dict.fromkeys(filter(None, node.input)))
    outputs = [output for output in node.output if output]
    if draw.random() < 0.3:
        nodes = [helper.make_node(name, inputs, outputs, domain="local")]
    imports = [*opset, helper.make_opsetid("local", 1)]
    model.functions.append(helper.make_function("local", name, inputs, outputs, nodes, imports))
    model.graph.node.insert(index, helper.make_node(name, inputs, outputs, domain="local"))
    del model.graph.node[index + 1]
    if all(entry.domain != "local" for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid("local", 1))
    return f"{node.op_type} in function {name}"


def _branch(model: onnx.ModelProto, draw: random.Random) -> str:
    """Put a node behind a condition that is an input."""
    index = draw.randrange(len(model.graph.node))
    node = model.graph.node[index]
    if not node.output or node.op_type in ("If", "Loop", "Scan"):
        return "no branch made"
    inner = onnx.NodeProto()
    inner.CopyFrom(node)
    inner.output[:] = [f"{name}_inner" if name else "" for name in node.output]
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in inner.output
        if name
    ]
    branch = helper.make_graph([inner], "branch", [], results)
    outputs = [name for name in node.output if name]
    choice = helper.make_node("If", ["flag"], outputs, then_branch=branch, else_branch=branch)
    model.graph.node.insert(index, choice)
    del model.graph.node[index + 1]
    if all(value.name != "flag" for value in model.graph.input):
        model.graph.input.append(helper.make_tensor_value_info("flag", TensorProto.BOOL, []))
    return f"{node.op_type} in a branch"


def _version(model: onnx.ModelProto, draw: random.Random) -> str:
    entry = draw.choice(model.opset_import)
    entry.version = draw.choice((1, 6, 7, 9, 11, 12, 13, 15, 17, 18, 20, 21, 22, 23, 24, 99))
    model.ir_version = draw.choice((model.ir_version, 3, 7, 8, 10))
    return f"opset {entry.version} of {entry.domain!r}, IR {model.ir_version}"


_CHANGES: tuple[Callable[[onnx.ModelProto, random.Random], str], ...] = (
    _rewire,
    _rewire,
    _swap_inputs,
    _drop_node,
    _drop_node,
    _other_operator,
    _weight,
    _weight,
    _weight,
    _integers,
    _integers,
    _attribute,
    _attribute,
    _declared,
    _declared,
    _lie,
    _lie,
    _overridable,
    _output,
    _function,
    _branch,
    _version,
)
