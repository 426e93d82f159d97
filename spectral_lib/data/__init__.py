"""What is learned: images and their labels, waves, packets and frequencies."""
