"""How Sphinx builds these pages: `make docs` (why Sphinx: docs/adr/0013)."""

from importlib.metadata import version as version_of

project = "wmh-node"
author = "the wmh-node contributors"
copyright = "the wmh-node contributors, Apache-2.0"
version = release = version_of("wmh-node")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True  # with -W, a reference that leads nowhere fails the build

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a page may begin below the first level of headings

html_theme = "pydata_sphinx_theme"
html_title = "wmh-node"
html_static_path = ["_static"]
html_css_files = ["wide-tables.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 4,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
