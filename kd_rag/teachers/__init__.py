"""Where the teacher's side of the loss comes from, one file a way."""
