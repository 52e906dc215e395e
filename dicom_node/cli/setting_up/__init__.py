"""`wmh-node setup`: six questions, each tried live, and the settings file that they give."""
