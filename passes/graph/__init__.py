"""Constants, names and axes of a graph."""
