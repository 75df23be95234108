"""The chapters of both calibrations: each adds the outcome of one pool, or of one simulated run, to its rows."""
