"""The spellings of norms."""
