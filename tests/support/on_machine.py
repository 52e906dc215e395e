"""Program of `support.machines`: mount the shared folder for this process alone, then become the command.

python on_machine.py SHARED SEEN_AT COMMAND...
"""

import os
import subprocess
import sys

# `ip netns exec` has given this process mounts of its own; what it mounts, no other process sees.
subprocess.run(["mount", "--bind", sys.argv[1], sys.argv[2]], check=True)
os.execv(sys.argv[3], sys.argv[3:])
