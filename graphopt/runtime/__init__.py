"""ONNX Runtime: sessions, kernel libraries, and what works on a machine."""
