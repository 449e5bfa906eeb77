"""Training: recipes, batches, the training loop, and training runs as jobs for worker processes."""

from nasfit.training.batches import as_images, normalised
from nasfit.training.deployed_file import CALIBRATION_PICTURES, calibration_pictures, deployed_accuracy
from nasfit.training.job import TrainingJob, TrainingResult, run_training, training_speed
from nasfit.training.network_training import Trained, accuracy, best_device, predict, train
from nasfit.training.pace import PRECISIONS, Pace, bf16_in_hardware
from nasfit.training.recipe import AUGMENTED_PASSES, Recipe, recipe_for
from nasfit.training.shipping import CHECKED_PICTURES, Preparation, Shipped, file_accuracy, shipped
from nasfit.training.stopping import StopRule
from nasfit.training.zero_cost import SCORES, zero_cost_scores
from nasfit.training.zero_cost_job import ZeroCostJob, run_zero_cost

__all__ = [
    "AUGMENTED_PASSES",
    "CALIBRATION_PICTURES",
    "CHECKED_PICTURES",
    "PRECISIONS",
    "SCORES",
    "Pace",
    "Preparation",
    "Recipe",
    "Shipped",
    "StopRule",
    "Trained",
    "TrainingJob",
    "TrainingResult",
    "ZeroCostJob",
    "accuracy",
    "as_images",
    "best_device",
    "bf16_in_hardware",
    "calibration_pictures",
    "deployed_accuracy",
    "file_accuracy",
    "normalised",
    "predict",
    "recipe_for",
    "run_training",
    "run_zero_cost",
    "shipped",
    "train",
    "training_speed",
    "zero_cost_scores",
]
