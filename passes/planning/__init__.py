"""The plan: which values to centre and which norms to convert."""
