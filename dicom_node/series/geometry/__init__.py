"""Planes, volumes and stacks: where the frames of a series lie, from headers alone."""
