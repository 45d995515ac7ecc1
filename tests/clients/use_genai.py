"""Prints the tokens that onnxruntime-genai generates, as JSON; runs in its environment.

Usage: use_genai.py DIRECTORY...
"""

from __future__ import annotations

import json
import sys

import onnxruntime_genai

PROMPT = [2, 4, 5, 6, 7]


def tokens(directory: str) -> list[int]:
    """The greedy continuation of a fixed prompt."""
    model = onnxruntime_genai.Model(directory)
    parameters = onnxruntime_genai.GeneratorParams(model)
    # A random model would repeat one token, and then equal tokens would prove little.
    parameters.set_search_options(max_length=29, min_length=29, repetition_penalty=1000.0)
    generator = onnxruntime_genai.Generator(model, parameters)
    generator.append_tokens(PROMPT)
    while not generator.is_done():
        generator.generate_next_token()
    return [int(token) for token in generator.get_sequence(0)]


print(json.dumps([tokens(directory) for directory in sys.argv[1:]]))
