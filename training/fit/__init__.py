"""One training: plan, fitting, checkpoints, and the folder that a run can go on from."""
