"""Visualisation of images, labels and predictions."""
