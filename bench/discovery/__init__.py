"""The recurrence benchmark: scenes with a known truth, candidates, measures; see ``run``."""
