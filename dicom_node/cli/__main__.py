"""`python -m dicom_node.cli`: the same as `wmh-node`, for subprocesses of this installation."""

from dicom_node.cli.main import main

main()
