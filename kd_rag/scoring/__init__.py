"""The likelihood of every label of a task."""
