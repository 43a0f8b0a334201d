"""Other systems' published files, read without running anything in them, as checkpoints of ours."""
