"""What the reader sees: claims and verdicts, figures, provenance."""
