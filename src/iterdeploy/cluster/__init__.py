"""Work on the nodes of a Ray cluster. Nothing of it is stored there: whatever is lost is done again somewhere else."""
