"""Spellings of GELU and of its approximations."""
