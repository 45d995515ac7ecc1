"""The operators of the domain graphopt."""
