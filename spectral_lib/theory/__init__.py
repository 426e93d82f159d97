"""What mathematics predicts, before and beside training."""
