"""Images and charts, drawn here: slices as PNG, figures as SVG."""
