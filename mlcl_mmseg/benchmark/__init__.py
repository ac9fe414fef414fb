"""What training, pseudo-labels and inference cost: time, memory, arithmetic."""
