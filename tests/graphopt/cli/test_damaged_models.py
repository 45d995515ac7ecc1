"""Files that parse and are damaged all the same: each ends with one line, soon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from graphopt.cli import cli, exit_codes
from graphopt.files.loading import load
from graphopt.passes.inline_functions import InlineFunctions
from tests.graphopt.model_files import block, initializer, save_external, save_inline

Damage = Callable[[onnx.ModelProto], object]


def set_type(name: str, kind: int) -> Damage:
    return lambda model: setattr(initializer(model, name), "data_type", kind)


def set_dims(name: str, *dims: int) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        initializer(model, name).dims[:] = dims

    return change


def set_data(name: str, length: int) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        tensor = initializer(model, name)
        tensor.raw_data = tensor.raw_data.ljust(length, b"\0")[:length]

    return change


def as_floats(name: str, count: int) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        tensor = initializer(model, name)
        tensor.ClearField("raw_data")
        tensor.float_data.extend([1.0] * count)

    return change


def segment(model: onnx.ModelProto) -> None:
    initializer(model, "gamma_1").segment.end = 10


def external_strings(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.add(name="s", data_type=TensorProto.STRING, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="s")


def constant_attribute(model: onnx.ModelProto) -> None:
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [2], [1, 2])
    tensor.dims[0] = 3
    model.graph.node.insert(0, helper.make_node("Constant", [], ["c"], name="const", value=tensor))


def attribute_without_type(model: onnx.ModelProto) -> None:
    next(node for node in model.graph.node if node.attribute).attribute[0].ClearField("type")


def name_a_dimension(text: str) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = text

    return change


def nested_branches(levels: int) -> onnx.ModelProto:
    made = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "inner",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    for level in range(levels):
        other = helper.make_graph(
            [helper.make_node("Identity", ["x"], ["z"])],
            "else",
            [],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        )
        output = f"y{level}"
        node = helper.make_node("If", ["c"], [output], then_branch=made, else_branch=other)
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        made = helper.make_graph([node], f"g{level}", [], [result])
    made.input.extend(
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ]
    )
    return helper.make_model(made, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def calling(*bodies: str, call: str = "f0 (x)") -> onnx.ModelProto:
    """A model that calls the functions ``f0``, ``f1``, ... with these bodies of ``a`` and ``b``."""
    imports = 'opset_import: ["": 17, "l": 1]'
    functions = "".join(
        f'<domain: "l", {imports}> f{number} (a) => (b) {{ {body} }}\n'
        for number, body in enumerate(bodies)
    )
    return onnx.parser.parse_model(
        f"<ir_version: 8, {imports}> g (float[2] x) => (float[2] y) {{ y = l.{call} }} {functions}"
    )


def run(capsys: pytest.CaptureFixture[str], command: str, path: Path) -> tuple[int, str]:
    options = ["--no-verify", "--force"] if command == "optimize" else []
    code = exit_codes.run(cli, [command, *options, str(path)])
    return code, capsys.readouterr().err


TENSORS = {
    "type 0": (set_type("weight_1", 0), "weight 'weight_1' has data type 0, which ONNX has not"),
    "type 99": (set_type("gamma_1", 99), "weight 'gamma_1' has data type 99, which ONNX has not"),
    "strings": (set_type("gamma_1", TensorProto.STRING), "'gamma_1' has 0 entries of string_data"),
    "another width": (set_type("gamma_1", TensorProto.DOUBLE), "160 bytes of data where its shape"),
    "short": (set_data("gamma_1", 159), "has 159 bytes of data where its shape and type need 160"),
    "long": (set_data("gamma_1", 164), "has 164 bytes of data where its shape and type need 160"),
    "short and large": (set_data("weight_1", 6399), "has 6399 bytes of data where"),
    "no data": (as_floats("gamma_1", 0), "has 0 entries of float_data where its shape and type"),
    "too few": (as_floats("gamma_1", 39), "has 39 entries of float_data where"),
    "negative": (set_dims("gamma_1", -40), "weight 'gamma_1' has a negative size, [-40]"),
    "twice negative": (set_dims("gamma_1", -4, -10), "has a negative size, [-4, -10]"),
    "huge": (set_dims("gamma_1", 2**40, 2**40), "where its shape and type need 4835703278458516"),
    "huge and mapped": (set_dims("weight_1", 2**40), "has 6400 bytes of data where"),
    "a segment": (segment, "weight 'gamma_1' is a segment of a tensor"),
    "external strings": (external_strings, "weight 's' has external strings"),
    "an attribute": (constant_attribute, "attribute 'value' of Constant 'const' has 2 entries"),
    "an attribute without a type": (attribute_without_type, "the model cannot be represented"),
}


@pytest.mark.parametrize(("damage", "message"), TENSORS.values(), ids=TENSORS)
def test_a_damaged_tensor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Damage, message: str
) -> None:
    model = block()
    damage(model)
    path = save_inline(model, tmp_path / "model.onnx")
    for command in ("optimize", "inspect"):
        code, error = run(capsys, command, path)
        assert code == 2, error
        assert message in error
        assert str(path) in error


@pytest.mark.parametrize("kind", [0, 99, TensorProto.STRING])
def test_a_damaged_tensor_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: int
) -> None:
    path = save_external(block(), tmp_path / "model.onnx")
    model = onnx.load(path, load_external_data=False)
    initializer(model, "weight_1").data_type = kind
    code, error = run(capsys, "optimize", save_inline(model, path))
    assert code == 2
    assert "weight 'weight_1' has" in error


@pytest.mark.parametrize("dtype", ["FLOAT16", "BFLOAT16", "UINT32", "COMPLEX64", "BOOL"])
def test_an_undamaged_tensor_of_any_type_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dtype: str
) -> None:
    """In the field of its type, where a file seldom has it, and with an odd number of entries."""
    model = block()
    kind = TensorProto.DataType.Value(dtype)
    tensor = helper.make_tensor("extra", kind, [3], np.ones(3))
    model.graph.initializer.append(tensor)
    code, error = run(capsys, "optimize", save_inline(model, tmp_path / "model.onnx"))
    assert (code, error) == (0, "")


@pytest.mark.parametrize(
    "text", ["0", "-1", "2**10**9", "N/0", "N - N", "batch size", "(" * 500 + "N" + ")" * 500]
)
def test_a_dimension_whose_name_is_an_expression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    model = block()
    name_a_dimension(text)(model)
    path = save_inline(model, tmp_path / "model.onnx")
    assert run(capsys, "optimize", path) == (0, "")
    found = onnx.load(tmp_path / "model.rms.onnx").graph.input[0].type.tensor_type.shape.dim[0]
    assert found.dim_param == text


def test_a_dimension_whose_name_is_a_long_sum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test_a_dimension_whose_name_is_an_expression(
        tmp_path, capsys, " + ".join(f"n{number}" for number in range(2000))
    )


def test_text_that_is_no_utf_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(block().SerializeToString().replace(b"written", b"wr\xff\xfeten"))
    code, error = run(capsys, "optimize", path)
    assert code == 2
    assert f"{path}: NodeProto.output b'wr\\xff\\xfeten' is no UTF-8" in error


def test_branches_in_branches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_inline(nested_branches(30), tmp_path / "model.onnx")
    assert run(capsys, "optimize", path) == (0, "")
    code, error = run(capsys, "optimize", save_inline(nested_branches(31), path))
    assert code == 2
    assert "its graphs are nested too deeply" in error


DOUBLED = [f"t = l.f{level + 1} (a) b = l.f{level + 1} (t)" for level in range(50)]
CHAIN = [f"b = l.f{level + 1} (a)" for level in range(200)]
FUNCTIONS = {
    "doubling at each level": (calling(*DOUBLED, "b = Relu (a)"), "times in all, too often"),
    "a long chain": (calling(*CHAIN, "b = Relu (a)"), "calls through more than 100 others"),
    "calling itself": (calling("b = l.f0 (a)"), "function calls are cyclic: l.f0 -> l.f0"),
    "calling each other": (
        calling("b = l.f1 (a)", "b = l.f0 (a)"),
        "function calls are cyclic: l.f0 -> l.f1 -> l.f0",
    ),
    "too many inputs": (
        calling("b = Relu (a)", call="f0 (x, x)"),
        "calls function l.f0 with 2 inputs, and it has 1",
    ),
}


@pytest.mark.parametrize(("model", "message"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_that_cannot_be_inlined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: onnx.ModelProto, message: str
) -> None:
    path = save_inline(model, tmp_path / "model.onnx")
    code, error = run(capsys, "optimize", path)
    assert code == 2, error
    assert message in error


def test_functions_that_double_a_few_times_are_inlined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As far as the analysis needs it: where nothing converts the file keeps its functions."""
    bodies = [*(f"t = l.f{i + 1} (a) b = l.f{i + 1} (t)" for i in range(6)), "b = Relu (a)"]
    path = save_inline(calling(*bodies), tmp_path / "model.onnx")
    assert run(capsys, "optimize", path) == (0, "")
    assert len(onnx.load(tmp_path / "model.rms.onnx").graph.node) == 1
    model = load(path)
    InlineFunctions()(model)
    assert [node.op_type for node in model.graph] == ["Relu"] * 64


@pytest.mark.parametrize("size", [2**31, 2**40])
def test_an_input_of_absurd_size_is_not_generated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    model = block()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = size
    path = save_inline(model, tmp_path / "model.onnx")
    assert run(capsys, "optimize", path)[0] == 0
    assert exit_codes.run(cli, ["optimize", "--force", str(path)]) in (0, 2)
    captured = capsys.readouterr()
    assert "input 'x' of shape" in captured.out + captured.err


def test_what_the_file_declares_of_a_weight_is_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = block()
    info = helper.make_tensor_value_info("weight_1", TensorProto.FLOAT, ["", 7, "N"])
    model.graph.value_info.append(info)
    path = save_inline(model, tmp_path / "model.onnx")
    assert run(capsys, "optimize", path) == (0, "")


def test_a_cast_to_no_type_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[2, 8] x) => (float[2, 8] y) { y = Cast<to = 0>(x) }"""
    )
    code, error = run(capsys, "optimize", save_inline(model, tmp_path / "model.onnx"))
    assert code == 2
    assert "the graph is invalid: Invalid tensor data type 0" in error
