"""Which software this is, as every result names it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

SOFTWARE_NAME: Final = "wmh-node"
SOFTWARE_VERSION: Final = version("wmh-node")

# Manufacturer (0008,0070) is type 1 in SEG (PS3.3 C.7.5.2): the project stands for it, there is no company.
MANUFACTURER: Final = "wmh-node project"
