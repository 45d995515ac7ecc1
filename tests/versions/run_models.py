"""Runs the models of a directory, in an environment with another release of ONNX Runtime.

python run_models.py DIRECTORY [LIBRARY]: each NAME.onnx is run on NAME.in.npz; the outputs go to
NAME.out.npz, the graph that ONNX Runtime made of it to NAME.optimized, the message of an error to
NAME.error. LIBRARY has kernels to register. Needs ONNX Runtime and numpy alone.
"""

import pathlib
import sys

import numpy as np
import onnxruntime


def main(directory: str, library: str | None = None) -> None:
    """Runs every model there."""
    for path in sorted(pathlib.Path(directory).glob("*.onnx")):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.log_severity_level = 4
        options.optimized_model_filepath = str(path.with_suffix(".optimized"))
        if library is not None:
            options.register_custom_ops_library(library)
        try:
            session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
            names = [output.name for output in session.get_outputs()]
            outputs = session.run(names, dict(np.load(path.with_suffix(".in.npz"))))
        except Exception as error:
            path.with_suffix(".error").write_text(str(error))
        else:
            np.savez(path.with_suffix(".out.npz"), **dict(zip(names, outputs, strict=True)))
    print(onnxruntime.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
