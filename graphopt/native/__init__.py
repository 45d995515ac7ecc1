"""The native kernels: their sources, and the libraries built from them.

See :mod:`graphopt.native.build` for how they are built and :mod:`graphopt.runtime.library` for
their paths.
"""
