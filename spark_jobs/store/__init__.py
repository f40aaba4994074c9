"""The object store as the jobs reach it, and what lies in it: the table's files, a run's answers."""
