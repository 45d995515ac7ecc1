"""How Sphinx builds the pages of this folder into a site: `make docs`."""

from __future__ import annotations

import importlib.metadata

project = "graphopt"
author = "the authors of graphopt"
version = release = importlib.metadata.version("graphopt")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # signatures are readable, and the docstrings say what is meant
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80

smartquotes = False  # -- begins the name of an option

html_theme = "furo"
html_title = "graphopt"
html_copy_source = False
html_show_copyright = False
