"""How far the volumes of two scans may differ although the brain has not changed: limits of agreement.

Measured by `make agreement` (docs/evidence/agreement.json) on pairs that were made from one head each: drawn heads on
two dates, and real heads sampled in two poses with other noise. No one was scanned twice on one day in the data at
hand, so that a real scanner's day-to-day variation is not in it: the true limits are wider, and the limits here are
rounded up for that, not down.
"""

from __future__ import annotations

from typing import Final

LIMIT_PERCENT: Final = 25.0
"""Of the mean of both volumes; measured +-22 % (1.96 times the SD of the logarithm of their ratio) of the real heads in
two poses, which come nearest to two real scans; 6 % of drawn heads and of slabs of one 3D scan."""
LIMIT_ML: Final = 0.5
"""The least limit, since of a small volume a voxel is many per cent: volumes under 5 mL differed by 0.2 mL at most."""


def agreement_limit_ml(earlier_ml: float, now_ml: float) -> float:
    """The change in mL up to which two volumes may come from one unchanged brain."""
    return max(LIMIT_ML, LIMIT_PERCENT / 100.0 * (earlier_ml + now_ml) / 2.0)
