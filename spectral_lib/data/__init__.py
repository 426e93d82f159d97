"""What is learned: signals with known derivatives."""
