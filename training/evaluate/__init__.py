"""Score an ensemble on labelled cases: every table and figure of the paper, and what lies beyond it."""
