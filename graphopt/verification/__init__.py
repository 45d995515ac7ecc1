"""Is the candidate the same function as the base?"""

from __future__ import annotations

__all__ = ["OutputError", "Verification", "prove", "verify"]

from graphopt.verification.differences import OutputError
from graphopt.verification.equivalence import Verification, prove, verify
