"""Prints the embeddings of sentence-transformers, as JSON; runs in its environment.

Usage: use_sentences.py DIRECTORY...
"""

from __future__ import annotations

import json
import sys

from sentence_transformers import SentenceTransformer

TEXTS = ["the norm of a residual stream has no mean", "the mean to remove"]

found = [
    SentenceTransformer(directory, backend="onnx").encode(TEXTS).tolist()
    for directory in sys.argv[1:]
]
print(json.dumps(found))
