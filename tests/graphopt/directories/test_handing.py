from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from graphopt.directories.handing import Handed, calls_in_order
from tests.graphopt.directories.model_directories import DECODER, ENCODER, NO_NORM, WITH_PAST

TAKES_MASK = DECODER.replace(
    "encoder_hidden_states)\n", "encoder_hidden_states, float[b, s, 1] encoder_attention_mask)\n", 1
)


def models(**texts: str) -> dict[Path, ir.Model]:
    return {Path(name): ir.from_onnx_text(text) for name, text in sorted(texts.items())}


def named(**texts: str) -> list[tuple[str, dict[str, tuple[int, str]]]]:
    return [
        (str(call.model), {name: (h.call, h.name) for name, h in call.handed.items()})
        for call in calls_in_order(models(**texts))
    ]


def test_an_encoder_comes_before_its_decoders_and_a_cache_is_read_again() -> None:
    assert named(a_decoder=DECODER, b_past=WITH_PAST, encoder=ENCODER) == [
        ("encoder", {}),
        ("a_decoder", {"encoder_hidden_states": (0, "last_hidden_state")}),
        ("b_past", {"past_0": (1, "present_0")}),
        ("b_past", {"past_0": (2, "present_0")}),
    ]


def test_a_decoder_is_given_the_mask_of_its_encoder() -> None:
    first, second = calls_in_order(models(decoder=TAKES_MASK, encoder=ENCODER))
    assert (str(first.model), str(second.model)) == ("encoder", "decoder")
    assert second.handed["encoder_attention_mask"] == Handed(0, "attention_mask", is_input=True)


def test_a_later_decoder_takes_the_mask_of_the_first() -> None:
    past = WITH_PAST.replace("past_0)\n", "past_0, float[b, s, 1] encoder_attention_mask)\n", 1)
    calls = calls_in_order(models(a=TAKES_MASK, b=past, encoder=ENCODER))
    assert [str(call.model) for call in calls] == ["encoder", "a", "b", "b"]
    assert all(
        call.handed["encoder_attention_mask"].call == 0
        for call in calls
        if call.model != Path("encoder")
    )


def test_a_model_alone_with_a_cache_is_called_twice() -> None:
    assert named(model=WITH_PAST) == [
        ("model", {}),
        ("model", {"past_0": (0, "present_0")}),
    ]


def test_caches_have_the_names_of_several_exporters() -> None:
    for present, past in (("present.0.key", "past_key_values.0.key"), ("present.0", "past.0")):
        model = ir.from_onnx_text(WITH_PAST)
        model.graph.outputs[1].name, model.graph.inputs[1].name = present, past
        _, again = calls_in_order({Path("model"): model})
        assert again.handed == {past: Handed(0, present)}


def test_models_that_hand_nothing_on_are_not_called() -> None:
    assert named(a=ENCODER, b=NO_NORM) == []
    other_width = DECODER.replace("source, 40] encoder", "source, 50] encoder")
    assert named(decoder=other_width, encoder=ENCODER) == []
    half = DECODER.replace("float[batch, source", "float16[batch, source")
    assert named(decoder=half, encoder=ENCODER) == []


def test_a_value_of_one_name_is_one_value() -> None:
    vision = NO_NORM.replace("] y)", "] image)").replace("y =", "image =")
    text = NO_NORM.replace("] x)", "] image)").replace("(x,", "(image,")
    assert named(a_text=text, vision=vision) == [
        ("vision", {}),
        ("a_text", {"image": (0, "image")}),
    ]
