"""Settings of PPO and the two presets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PPOSettings:
    hidden: int = 100
    spread: float = 0.1
    learning_rate: float = 3.5e-4
    entropy: float = 1e-5
    entropy_last: float = 1e-5
    entropy_updates: int = 1
    baseline_decay: float = 0.95
    batch_size: int = 20
    epochs: int = 4
    clip: float = 0.2
    standardise: bool = False
    elite: int = 0
    retries: int = 0


PAPER = PPOSettings()
TUNED = PPOSettings(learning_rate=3e-3, entropy=1e-2, entropy_last=1e-2, batch_size=10, epochs=4, standardise=True, elite=0, retries=10)
