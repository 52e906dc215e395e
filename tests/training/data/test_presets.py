"""Each named recipe can be asked for by its name, and so can the one that it goes on from."""

from training.data import presets
from training.data.presets import PRESETS, Recipe


def test_every_recipe_of_the_module_is_in_the_table() -> None:
    """A recipe that the module writes down can be chosen by `wmh-node train --preset`."""
    written = {one.name for one in vars(presets).values() if isinstance(one, Recipe)}
    assert written - set(PRESETS) == set()


def test_a_recipe_goes_on_from_one_that_can_be_chosen() -> None:
    """What a stage goes on from is itself a preset, or the pretraining."""
    starts = {one.start_from for one in PRESETS.values()} - {None, presets.PRETRAINING}
    assert starts <= set(PRESETS)
