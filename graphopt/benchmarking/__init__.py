"""Runs benchmarks of models in ONNX Runtime: candidates, peers, the grid, and what is kept."""
