"""Models for servers of the Open Inference Protocol (V2): KServe's Python SDK and MLServer.

Nothing here imports onnx or onnx_ir: a server needs ONNX Runtime, NumPy and its own package.
"""
