"""The bases of the zero-mean subspace, against their definitions in float64."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.passes.crms.basis import Absorb, Basis, Encode

BASES = pytest.mark.parametrize("name", ["orthonormal", "drop"])
SIZES = pytest.mark.parametrize("size", [3, 4, 8, 769])


def _matrices(basis: Basis) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """C [d, d], E [d - 1, d] and D [d, d - 1], from what the basis does to unit vectors."""
    identity = np.eye(basis.size)
    centring = identity - 1.0 / basis.size
    return centring, basis.encode(identity, 0), basis.absorb(identity, 0).T


@BASES
@SIZES
def test_decoding_what_was_encoded_is_centring(name: str, size: int) -> None:
    centring, encode, decode = _matrices(Basis(name, size))
    np.testing.assert_allclose(decode @ encode, centring, atol=1e-14)
    np.testing.assert_allclose(encode @ decode, np.eye(size - 1), atol=1e-14)


@SIZES
def test_the_orthonormal_basis_is_one_but_for_its_scale(size: int) -> None:
    _, _, decode = _matrices(Basis("orthonormal", size))
    gram = decode.T @ decode
    np.testing.assert_allclose(gram, np.eye(size - 1) * size / (size - 1), atol=1e-14)


@SIZES
def test_the_basis_drop_drops_the_last_feature(size: int) -> None:
    centring, encode, _ = _matrices(Basis("drop", size))
    np.testing.assert_allclose(encode, centring[:-1], atol=1e-15)


@SIZES
def test_normalizing_commutes_with_encoding(size: int) -> None:
    """RMS over d - 1 of E v is E of RMS over d, with one epsilon; so is CRMS in ``drop``."""
    value = np.random.default_rng(size).normal(2.0, 0.01, (5, size))
    value -= value.mean(axis=-1, keepdims=True)
    epsilon = 1e-5  # matters: the variance is 1e-4
    truth = value / np.sqrt((value**2).mean(axis=-1, keepdims=True) + epsilon)

    basis = Basis("orthonormal", size)
    z = basis.encode(value, 1)
    rms = z / np.sqrt((z**2).mean(axis=-1, keepdims=True) + epsilon)
    np.testing.assert_allclose(rms, basis.encode(truth, 1), rtol=0, atol=1e-13)

    basis = Basis("drop", size)
    z = basis.encode(value, 1)
    moment = (z**2).sum(axis=-1, keepdims=True) + z.sum(axis=-1, keepdims=True) ** 2
    crms = z / np.sqrt(moment / size + epsilon)
    np.testing.assert_allclose(crms, basis.encode(truth, 1), rtol=0, atol=1e-13)


@BASES
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_edits_work_on_any_axis(name: str, axis: int) -> None:
    basis, random = Basis(name, 6), np.random.default_rng(axis)
    shape = [4, 5, 3]
    shape[axis] = 6
    constant = random.normal(0.5, 1.0, shape)
    _, encode, decode = _matrices(basis)
    for edit, matrix in ((Encode(axis, basis), encode), (Absorb(axis, basis), decode.T)):
        found = edit.apply(constant, 0, 0)
        truth = np.moveaxis(np.tensordot(matrix, constant, axes=(1, axis)), 0, axis)
        np.testing.assert_allclose(found, truth, atol=1e-14)
        assert edit.resized(constant.shape) == found.shape
        assert [edit.couples(other) for other in range(3)] == [a == axis for a in range(3)]


@pytest.mark.parametrize("name", ["orthonormal", "drop"])
@pytest.mark.parametrize("size", [3, 4, 7, 64, 768])
def test_no_entry_grows_beyond_the_bound_and_one_comes_near_it(name: str, size: int) -> None:
    basis = Basis(name, size)
    # The worst input of each row of E C and of D^T: entries 1 and -1 with the signs of the row.
    encoding = basis.encode(np.eye(size), 0)
    absorbing = basis.absorb(np.eye(size), 0)
    largest = max(np.abs(matrix).sum(axis=1).max() for matrix in (encoding, absorbing))
    assert largest <= basis.growth * (1 + 1e-12)
    assert largest > (0.9 if size > 60 else 0.6) * basis.growth
