"""What the node answers with: SEG, measurement report (SR), and a picture for a person.

`result_set.py` and `refusal_report.py` lie on top, over seg, report and pages; what these share is in common. Every set
passes check.
"""
