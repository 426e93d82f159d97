"""What the book claims about speed: `python -m benchmarks` measures all of it."""
