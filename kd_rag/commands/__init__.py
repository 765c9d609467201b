"""One file a command: the only code that knows every room."""
