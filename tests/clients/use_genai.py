"""Prints the tokens that onnxruntime-genai generates; runs in its environment.

Usage: use_genai.py DIRECTORY...
"""

from __future__ import annotations

import sys

import onnxruntime_genai

PROMPT = [2, 4, 5, 6, 7]


def tokens(directory: str) -> list[int]:
    """The greedy continuation of a fixed prompt."""
    model = onnxruntime_genai.Model(directory)
    parameters = onnxruntime_genai.GeneratorParams(model)
    parameters.set_search_options(max_length=24, do_sample=False)
    generator = onnxruntime_genai.Generator(model, parameters)
    generator.append_tokens(PROMPT)
    while not generator.is_done():
        generator.generate_next_token()
    return [int(token) for token in generator.get_sequence(0)]


for directory in sys.argv[1:]:
    print(*tokens(directory))
