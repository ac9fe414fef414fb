"""What comes after training: predicting images and videos, exporting, stripping."""
