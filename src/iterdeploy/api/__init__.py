"""Runs from Python. What users import stands in `iterdeploy` itself; this room is what that leads to.

    start.py     runs that begin, go on or are extended
    look.py      a run that is there: its generations, tasks and traces
    compare.py   several of them
    frames.py    any of it as a pandas DataFrame
    find.py      which folder a name or a path means

The functions return when a run is complete or has stopped by itself, and print nothing.
"""
