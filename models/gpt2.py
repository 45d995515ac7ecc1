"""GPT-2: a Pre-LN decoder whose token table is tied to the vocabulary head."""

from __future__ import annotations

__all__ = ["RECIPES"]

from typing import Any

from graphopt.models.decoder import MASKED_FLOAT16, token_inputs
from graphopt.models.recipe import Feed, Input, Recipe

FULL = {"n_embd": 768, "n_layer": 12, "n_head": 12}
TINY = {
    "n_embd": 48,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "vocab_size": 101,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def _inputs_with_past(config: Any) -> tuple[Input, ...]:
    head = config.n_embd // config.n_head
    cache = ("batch", config.n_head, "past_sequence", head)
    return (
        Input("input_ids", ("batch", 1), "ids", config.vocab_size),
        Input("attention_mask", ("batch", "past_sequence + 1"), "mask"),
        *(
            Input(f"past_key_values.{layer}.{part}", cache, "float")
            for layer in range(config.n_layer)
            for part in ("key", "value")
        ),
    )


def _run(model: Any, feed: Feed) -> Feed:
    return {"logits": model(**feed, use_cache=False).logits}


def _run_hidden(model: Any, feed: Feed) -> Feed:
    result = model(**feed, use_cache=False, output_hidden_states=True)
    return {"logits": result.logits, "hidden_state_1": result.hidden_states[1]}


def _run_with_past(model: Any, feed: Feed) -> Feed:
    from transformers import DynamicCache

    cache = DynamicCache()
    layers = range(model.config.n_layer)
    for layer in layers:
        key, value = (feed[f"past_key_values.{layer}.{part}"] for part in ("key", "value"))
        cache.update(key, value, layer)
    result = model(
        input_ids=feed["input_ids"],
        attention_mask=feed["attention_mask"],
        past_key_values=cache,
        use_cache=True,
    )
    named = {"logits": result.logits}
    for layer in layers:
        named[f"present.{layer}.key"] = result.past_key_values.layers[layer].keys
        named[f"present.{layer}.value"] = result.past_key_values.layers[layer].values
    return named


RECIPES = (
    Recipe(
        architecture="GPT-2",
        config="transformers:GPT2Config",
        model="transformers:GPT2LMHeadModel",
        sizes={"gpt2": FULL, "gpt2-tiny": TINY},
        blocks="n_layer",
        inputs=token_inputs,
        run=_run,
        cannot=MASKED_FLOAT16,
    ),
    Recipe(
        architecture="GPT-2",
        config="transformers:GPT2Config",
        model="transformers:GPT2LMHeadModel",
        sizes={"gpt2-hidden": FULL, "gpt2-hidden-tiny": TINY | {"n_layer": 3}},
        blocks="n_layer",
        inputs=token_inputs,
        run=_run_hidden,
        cannot=MASKED_FLOAT16,
        notes="also outputs the residual stream after the first block",
    ),
    Recipe(
        architecture="GPT-2",
        config="transformers:GPT2Config",
        model="transformers:GPT2LMHeadModel",
        sizes={"gpt2-with-past": FULL, "gpt2-with-past-tiny": TINY},
        blocks="n_layer",
        inputs=_inputs_with_past,
        run=_run_with_past,
        cannot=MASKED_FLOAT16,
        notes="one decode step: one token and a non-empty cache",
    ),
)
