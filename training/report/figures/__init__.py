"""The figures of the report, one file each; matplotlib's object interface with the Agg canvas, never pyplot."""
