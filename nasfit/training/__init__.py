"""Training: recipes, batches, the training loop, and training runs as jobs for worker processes."""

from nasfit.training.batches import as_images, normalised
from nasfit.training.deployed_file import CALIBRATION_PICTURES, calibration_pictures, deployed_accuracy
from nasfit.training.job import TrainingJob, TrainingResult, run_training, training_speed
from nasfit.training.network_training import Trained, accuracy, best_device, predict, train
from nasfit.training.recipe import AUGMENTED_PASSES, Recipe, recipe_for
from nasfit.training.stopping import StopRule

__all__ = [
    "AUGMENTED_PASSES",
    "CALIBRATION_PICTURES",
    "Recipe",
    "StopRule",
    "Trained",
    "TrainingJob",
    "TrainingResult",
    "accuracy",
    "as_images",
    "best_device",
    "calibration_pictures",
    "deployed_accuracy",
    "normalised",
    "predict",
    "recipe_for",
    "run_training",
    "train",
    "training_speed",
]
