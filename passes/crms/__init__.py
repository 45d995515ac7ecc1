"""Streams of d - 1 features."""
