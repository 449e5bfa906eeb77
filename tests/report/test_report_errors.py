"""What the one test told: counts that add up, examples worth a look, differences of paired pictures."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nasfit.errors import StudyError
from nasfit.report import Story, page
from nasfit.report.accuracy_tables import MOST_IN_MATRIX, by_class, confusions, duels, matrix
from nasfit.report.error_analysis import EXAMPLES, ErrorAnalysis, error_analysis
from nasfit.report.final_evidence import FinalEvidence
from nasfit.report.headline import wilson
from nasfit.report.thumbnails import SIDE, thumbnails

Finished = Callable[..., Story]
CLASSES = ("cat", "dog", "<owl>")
# Ten of each class in turn.
LABELS = np.arange(30) % 3
# Cats 0 and 3 taken for dogs, cat 6 for an owl, dog 1 for a cat.
WRONG = [[0, 1, 0.9], [3, 1, 0.99], [6, 2, 0.5], [1, 0, 0.7]]
OTHER = [[1, 0, 0.6], [2, 0, 0.6]]


@pytest.fixture
def errors(finished: Finished) -> ErrorAnalysis:
    story = finished(0.86, 0.4)
    assert story.result is not None
    found = error_analysis(
        story.result, {"found-1": {"mistakes": WRONG}, "mobilenet-v2 x1": {"mistakes": OTHER}}, LABELS, CLASSES
    )
    assert found is not None
    return found


def test_every_picture_is_counted_once(errors: ErrorAnalysis) -> None:
    assert (errors.network, errors.pictures, errors.mistakes) == ("found-1", 30, 4)
    assert [(one.name, one.pictures, one.right) for one in errors.classes] == [
        ("cat", 10, 7),
        ("dog", 10, 9),
        ("<owl>", 10, 10),
    ]
    assert errors.confusions == [("cat", "dog", 2), ("cat", "<owl>", 1), ("dog", "cat", 1)]
    found = matrix(errors)
    assert found is not None
    assert [[cell.pictures for cell in row] for row in found.rows] == [[7, 2, 1], [1, 9, 0], [0, 0, 10]]
    assert [cell.right for cell in found.rows[1]] == [False, True, False]


def test_classes_come_worst_first_with_their_interval(errors: ErrorAnalysis) -> None:
    table = by_class(errors)
    assert [row[0] for row in table.rows] == ["cat", "dog", "<owl>"]
    low, high = wilson(7, 10)
    assert table.rows[0][1:] == ("10", "70.00 %", f"{100 * low:.2f} % to {100 * high:.2f} %", "dog (2)")
    assert table.rows[2][-1] == "–"
    assert confusions(errors).rows[0] == ("cat", "dog", "2", "50.00 %")


def test_wilson_is_the_published_interval() -> None:
    # Newcombe 1998, table I: 81 of 263, and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_duel_counts_what_one_alone_gets_right(errors: ErrorAnalysis) -> None:
    (duel,) = errors.duels
    # Dog 1 is wrong in both; three pictures are wrong here alone, one there alone.
    assert (duel.other, duel.only_own, duel.only_other) == ("mobilenet-v2 x1", 1, 3)
    assert duel.difference == pytest.approx(-2 / 30)
    # Half a picture added to each cell: 1.5 against 3.5 of 32.
    room = 1.96 * ((5 / 32 - (2 / 32) ** 2) / 32) ** 0.5
    assert (duel.low, duel.high) == pytest.approx((-2 / 32 - room, -2 / 32 + room))
    table = duels(errors)
    assert table is not None and table.rows[0][:4] == ("mobilenet-v2 x1", "1", "3", "−6.67 points")
    assert duels(replace(errors, duels=())) is None


def test_examples_are_the_surest_mistakes_of_several_kinds(finished: Finished) -> None:
    result = finished(0.86, 0.4).result
    assert result is not None
    labels_N = np.zeros(100, int)
    many = [[picture, 1, 0.5 + picture / 1000] for picture in range(60)] + [[80, 2, 0.2]]
    errors = error_analysis(result, {"found-1": {"mistakes": many}}, labels_N, CLASSES)
    assert errors is not None
    assert [(one.picture, one.given) for one in errors.examples] == [(59, "dog"), (58, "dog"), (80, "<owl>")]
    spread = [[picture, 1 + picture % 19, 0.5] for picture in range(60)]
    all_kinds = error_analysis(result, {"found-1": {"mistakes": spread}}, labels_N, [f"class {n}" for n in range(20)])
    assert all_kinds is not None and len(all_kinds.examples) == EXAMPLES


@pytest.mark.parametrize("wrong", [[[30, 1, 0.5]], [[-1, 1, 0.5]], [[0, 3, 0.5]], [[0, 1]], ["abc"], [[0, None, 0.5]]])
def test_mistakes_that_do_not_fit_the_test_set_are_an_error(finished: Finished, wrong: list[Any]) -> None:
    result = finished(0.86, 0.4).result
    assert result is not None
    with pytest.raises(StudyError, match="the mistakes of 'found-1'"):
        error_analysis(result, {"found-1": {"mistakes": wrong}}, LABELS, CLASSES)


def test_without_kept_mistakes_the_page_says_so(finished: Finished) -> None:
    story = finished(0.86, 0.4)
    assert story.result is not None
    assert error_analysis(story.result, {"found-1": {"accuracy": 0.86}}, LABELS, CLASSES) is None
    html = page(replace(story, final=FinalEvidence(no_errors="of an earlier version")))
    assert "What the network gets wrong cannot be shown: of an earlier version." in html
    assert "There is no network whose mistakes could be shown." in page(finished(0.86, 0.6, best=None))


def test_the_page_shows_matrix_classes_pictures_and_duels(finished: Finished, errors: ErrorAnalysis) -> None:
    images_NHWC = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3), np.uint8)
    shown = thumbnails(images_NHWC, [example.picture for example in errors.examples])
    story = replace(finished(0.86, 0.4), final=FinalEvidence(errors=errors))
    html = page(story, shown)
    assert "found-1 is right on 26 of 30 test pictures" in html
    assert html.count("<img") == len(errors.examples) == 4
    assert 'alt="Test picture 3: cat"' in html and "taken for dog, 99 % sure" in html
    assert "taken for &lt;owl&gt;, 50 % sure" in html and "<owl>" not in html
    assert '<td class="number right" style="--share:0.700">7</td>' in html
    assert "only the other right" in html
    assert page(story).count("<img") == 0, "without pictures at hand the words stay"


def test_of_many_classes_the_confusions_are_shown_in_place_of_a_matrix(finished: Finished) -> None:
    story = finished(0.86, 0.4)
    assert story.result is not None
    names = [f"class {number}" for number in range(MOST_IN_MATRIX + 1)]
    errors = error_analysis(story.result, {"found-1": {"mistakes": WRONG}}, LABELS, names)
    assert errors is not None and matrix(errors) is None
    assert "– " not in by_class(errors).rows[-1][2]
    html = page(replace(story, final=FinalEvidence(errors=errors)))
    assert "The most frequent confusions" in html and "Confusion matrix" not in html


def test_thumbnails_are_small_pictures_within_the_page() -> None:
    small = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1), np.uint8)
    large = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    for images, form, size in ((small, "png", (28, 28)), (large, "jpeg", (SIDE, SIDE))):
        (address,) = thumbnails(images, [0]).values()
        head, _, content = address.partition(",")
        assert head == f"data:image/{form};base64" and len(address) < 20_000
        assert Image.open(BytesIO(base64.b64decode(content))).size == size
    (address,) = thumbnails(small, [1]).values()
    decoded = np.asarray(Image.open(BytesIO(base64.b64decode(address.partition(",")[2]))))
    assert (decoded == small[1, ..., 0]).all(), "small pictures are kept pixel by pixel"
