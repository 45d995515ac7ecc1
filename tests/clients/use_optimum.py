"""Prints what optimum's ORTModel classes make of a directory, as JSON; runs in its environment.

Usage: use_optimum.py KIND DIRECTORY...
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from optimum import onnxruntime
from transformers import AutoTokenizer

TEXTS = ["the norm of a residual stream has no mean", "the mean to remove"]

SEARCH = {"max_new_tokens": 24, "min_new_tokens": 24, "do_sample": False, "no_repeat_ngram_size": 1}
"""Each token once: a random model would repeat one, and then equal tokens would prove little."""


def tokens(directory: str) -> dict[str, torch.Tensor]:
    encoded = AutoTokenizer.from_pretrained(directory)(TEXTS, padding=True, return_tensors="pt")
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


def classes_of_texts(directory: str) -> list[object]:
    model = onnxruntime.ORTModelForSequenceClassification.from_pretrained(directory)
    return model(**tokens(directory)).logits.tolist()


def classes_of_images(directory: str) -> list[object]:
    model = onnxruntime.ORTModelForImageClassification.from_pretrained(directory)
    pixels = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    return model(pixel_values=torch.from_numpy(pixels)).logits.tolist()


def continuations(directory: str) -> list[object]:
    model = onnxruntime.ORTModelForCausalLM.from_pretrained(directory)
    assert model.can_use_cache
    return model.generate(**tokens(directory), **SEARCH).tolist()


def translations(directory: str) -> list[object]:
    model = onnxruntime.ORTModelForSeq2SeqLM.from_pretrained(directory)
    return model.generate(**tokens(directory), **SEARCH).tolist()


KINDS = {
    "text-classification": classes_of_texts,
    "image-classification": classes_of_images,
    "text-generation-with-past": continuations,
    "text2text-generation-with-past": translations,
}
print(json.dumps([KINDS[sys.argv[1]](directory) for directory in sys.argv[2:]]))
