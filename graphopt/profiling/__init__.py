"""Where the time of a model goes in ONNX Runtime."""
