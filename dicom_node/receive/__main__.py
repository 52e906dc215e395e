"""A receiver process of several; started by `run._supervise`, never by hand."""

import sys

from dicom_node.receive.run import run_child

run_child(*map(int, sys.argv[1:]))
