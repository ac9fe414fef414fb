"""Deployment of a trained model: prediction, export and stripped checkpoints."""
