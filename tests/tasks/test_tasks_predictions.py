"""Mistakes are what differs from the labels, with the confidence of the softmax."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from nasfit.tasks import Mistake, Predictions

LOGITS = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1000.0], [5.0, 5.0, 0.0]], np.float32)


def test_confidence_is_the_softmax_of_the_likeliest_class() -> None:
    found = Predictions.of(LOGITS)
    assert found.classes_N.tolist() == [0, 1, 2, 0]
    first = math.exp(2) / (math.exp(2) + 2)
    assert found.confidence_N.tolist() == pytest.approx([first, math.e / (math.e + 2), 1.0, 1 / (2 + math.exp(-5))])


def test_mistakes_are_listed_in_order_and_survive_json() -> None:
    found = Predictions.joined([Predictions.of(LOGITS[:2]), Predictions.of(LOGITS[2:])])
    labels_N = np.array([0, 2, 2, 1])
    assert found.accuracy(labels_N) == 0.5
    mistakes = found.mistakes(labels_N)
    assert [(one.picture, one.given) for one in mistakes] == [(1, 1), (3, 0)]
    assert mistakes[0].confidence == pytest.approx(0.576)
    assert tuple(Mistake(*one) for one in json.loads(json.dumps(mistakes))) == mistakes
    assert found.mistakes(found.classes_N) == ()


def test_a_network_that_gives_no_numbers_has_no_confidence() -> None:
    assert Predictions.of(np.full((1, 3), np.nan, np.float32)).confidence_N.tolist() == [0.0]
