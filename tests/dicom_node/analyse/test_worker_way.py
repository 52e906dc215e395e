"""The way of a job stays short enough to be read."""

from __future__ import annotations

from support.data import REPOSITORY
from support.worker_way import Program, files_of, room, way


def test_the_way_of_a_job_is_one_short_file_in_a_few_rooms() -> None:
    """The worker's file has at most 150 lines, and all that it leads to is in at most 12 folders."""
    program = Program(REPOSITORY)
    functions, _ = way(program)
    assert len(functions) > 300  # else the graph was not followed
    own = program.functions[functions[0]][0]
    assert own.lines <= 150
    assert len({room(name) for name in files_of(program, functions)}) <= 12
