"""Is the candidate the same function as the base?"""

from __future__ import annotations

__all__ = ["Original", "OutputError", "Verification", "prove", "verify"]

from graphopt.verification.differences import OutputError
from graphopt.verification.equivalence import prove, verify
from graphopt.verification.original import Original
from graphopt.verification.result import Verification
