"""What linnet is trained for: one file a family, naming its encoder, its head and its defaults."""
