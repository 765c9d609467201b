"""Pages for people: a form to try a model on one dialogue."""
