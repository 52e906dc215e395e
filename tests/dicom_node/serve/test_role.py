"""What every role's process has."""

from __future__ import annotations

from dicom_node.serve.role import lease_owner


def test_a_lease_holders_name_is_unique() -> None:
    """Two containers may have the same host name and process id, and still differ."""
    assert lease_owner("work") != lease_owner("work")
    assert lease_owner("work").startswith("work@")
