"""The evaluation as a reader sees it: figures and one self-contained HTML file."""
