"""Storage commitment (PS3.4 annex J) as SCU: asking a PACS to take responsibility; and our reports to senders."""
