"""linnet names the organism behind a biological sequence, with a confidence at every rank."""

__version__ = "0.1.0"
