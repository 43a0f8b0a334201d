"""What can be typed after `linnet`: one file a command, its docstring the help text."""
