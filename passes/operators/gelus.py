"""The operators of the domain graphopt that compute GELU and its approximations."""

from __future__ import annotations

__all__ = ["GELU", "GELUS", "QUICK_GELU", "TANH_GELU"]

GELU = "Gelu"
"""Gelu(X, bias?) -> Y, element by element, with Phi the normal distribution function:

    Y = v Phi(v), v = X + bias                          X, Y [..., d], bias [d]
"""
TANH_GELU = "TanhGelu"
"""TanhGelu(X, bias?) -> Y, the usual approximation of Gelu:

    Y = v (1 + tanh(sqrt(2 / pi) (v + 0.044715 v^3))) / 2
"""
QUICK_GELU = "QuickGelu"
"""QuickGelu(X, bias?) -> Y, another one: Y = v sigmoid(1.702 v)."""
GELUS = (GELU, TANH_GELU, QUICK_GELU)
