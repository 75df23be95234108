"""The chapters of the audit's calibration: each adds the outcome of one pool to the rates of its rows."""
