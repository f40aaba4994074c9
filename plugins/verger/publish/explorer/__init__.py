"""The explorer of a run's pictures: the data that its page reads, and the built page (source: `explorer/`)."""
