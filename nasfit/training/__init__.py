"""Training: recipes, batches, the training loop, and training runs as jobs for worker processes."""

from nasfit.training.batches import as_images, normalised
from nasfit.training.checkpoints import described_weights, packed_weights
from nasfit.training.classification_training import (
    Setting,
    classification_training,
    described,
    fitted,
    fresh_network,
    metrics,
    planned_seconds,
    seconds_per_step,
    seen_in_evaluation,
)
from nasfit.training.classifier import Classifier
from nasfit.training.deployed_file import CALIBRATION_PICTURES, calibration_pictures, deployed_predictions, shipped_file
from nasfit.training.full_plan import FullPlan, Wishes, full_plan, stored_side
from nasfit.training.full_recipe import FULL_RECIPES, FullRecipe, fitting_recipe, full_recipe
from nasfit.training.full_training import BEST, LAST, Course, Training, full_training
from nasfit.training.job import TrainingJob, TrainingResult, run_training, training_speed
from nasfit.training.network_training import Trained, accuracy, best_device, predict, train
from nasfit.training.optimizers import OPTIMIZERS, made_optimizer
from nasfit.training.pace import PRECISIONS, Pace, bf16_in_hardware
from nasfit.training.ranks import ALONE, Ranks, joined_ranks
from nasfit.training.recipe import AUGMENTED_PASSES, Recipe, recipe_for
from nasfit.training.schedules import Schedule
from nasfit.training.shipping import CHECKED_PICTURES, Preparation, Shipped, file_accuracy, shipped, told_preparation
from nasfit.training.starting import start_from
from nasfit.training.stopping import StopRule
from nasfit.training.training_events import Began, Completed, EpochEnded, Saved, Stepped, TrainingEvent
from nasfit.training.zero_cost import SCORES, zero_cost_scores
from nasfit.training.zero_cost_job import ZeroCostJob, run_zero_cost

__all__ = [
    "ALONE",
    "AUGMENTED_PASSES",
    "BEST",
    "CALIBRATION_PICTURES",
    "CHECKED_PICTURES",
    "FULL_RECIPES",
    "LAST",
    "OPTIMIZERS",
    "PRECISIONS",
    "SCORES",
    "Began",
    "Classifier",
    "Completed",
    "Course",
    "EpochEnded",
    "FullPlan",
    "FullRecipe",
    "Pace",
    "Preparation",
    "Ranks",
    "Recipe",
    "Saved",
    "Schedule",
    "Setting",
    "Shipped",
    "Stepped",
    "StopRule",
    "Trained",
    "Training",
    "TrainingEvent",
    "TrainingJob",
    "TrainingResult",
    "Wishes",
    "ZeroCostJob",
    "accuracy",
    "as_images",
    "best_device",
    "bf16_in_hardware",
    "calibration_pictures",
    "classification_training",
    "deployed_predictions",
    "described",
    "described_weights",
    "file_accuracy",
    "fitted",
    "fitting_recipe",
    "fresh_network",
    "full_plan",
    "full_recipe",
    "full_training",
    "joined_ranks",
    "made_optimizer",
    "metrics",
    "normalised",
    "packed_weights",
    "planned_seconds",
    "predict",
    "recipe_for",
    "run_training",
    "run_zero_cost",
    "seconds_per_step",
    "seen_in_evaluation",
    "shipped",
    "shipped_file",
    "start_from",
    "stored_side",
    "told_preparation",
    "train",
    "training_speed",
    "zero_cost_scores",
]
