"""One binary in real releases of ONNX Runtime, from the oldest that it is made for.

What is declared in ort_api.h is wrong where one of these fails: the releases before 1.17 have no
thread pool for kernels, those before 1.18 no reuse of memory.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.native.operator_models import (
    FORMS,
    RMS_WITHOUT_GAMMA,
    SKIP_CRMS,
    TYPES,
    assert_right,
    model,
    random_values,
)
from tests.versions.environments import needs_python_of, run_models

# Releases at which what the kernels use of the API changes, and later ones.
RELEASES = [
    pytest.param(release, marks=needs_python_of(release))
    for release in ("1.16.3", "1.17.3", "1.18.1", "1.20.1", "1.25.1")
]


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
def test_the_library_works_in(release: str, library: Path, tmp_path: Path) -> None:
    cases = {}
    for i, form in enumerate(FORMS):
        for dtype in TYPES:
            values = random_values((40, 767), dtype, seed=i)
            name = f"{i}-{dtype}"
            cases[name] = (form, dtype, values)
            (tmp_path / f"{name}.onnx").write_bytes(model(form, dtype))
            used = {key: values[key] for key in form.inputs}
            if dtype == "bfloat16":
                used = {key: value.astype(np.float32) for key, value in used.items()}
            np.savez(tmp_path / f"{name}.in.npz", **used)
    (tmp_path / "refused.onnx").write_bytes(model(SKIP_CRMS, "float32"))
    np.savez(
        tmp_path / "refused.in.npz",
        X=np.ones((2, 3), np.float32),
        residual=np.ones((1, 3), np.float32),
        bias=np.ones(3, np.float32),
    )
    (tmp_path / "invalid.onnx").write_bytes(model(RMS_WITHOUT_GAMMA, "float32", epsilon=None))

    run_models(release, tmp_path, library)

    for name, (form, dtype, values) in cases.items():
        assert not (tmp_path / f"{name}.error").exists(), (tmp_path / f"{name}.error").read_text()
        got = np.load(tmp_path / f"{name}.out.npz")
        found = {key: got[key].astype(TYPES[dtype]) for key in got.files}
        assert_right(form, values, found, dtype)
    assert "they must be equal, nothing is broadcast" in (tmp_path / "refused.error").read_text()
    assert "the attribute epsilon, a float, is missing" in (tmp_path / "invalid.error").read_text()
