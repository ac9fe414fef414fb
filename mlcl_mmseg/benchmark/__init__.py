"""Measurement of time, memory and operations of training, pseudo-labels and inference."""
