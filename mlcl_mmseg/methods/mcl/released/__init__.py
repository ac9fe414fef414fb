"""What the authors released, as far as it is needed here: tensor names, checkpoints, figures."""
