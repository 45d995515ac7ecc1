"""Folders that a server takes: the model, its settings, the kernels, a golden pair."""
