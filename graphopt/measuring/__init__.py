"""Latencies: interleaved rounds, intervals, ratios."""
