"""What a model has to beat: a guess that looks at no record, and a linear classifier of characters.

In: the labels of the training set, and the predictions of a model or texts. Out: answers for the same records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from kd_rag.evaluation.predictions import Prediction


def majority_class(
    train_label_counts: Mapping[str, Mapping[str, int]], predictions: Sequence[Prediction]
) -> list[Prediction]:
    """Answer every record with the commonest label of its task in the training set.

    The probabilities are the labels' shares in the training set, so that likelihood and calibration can be
    scored too; of labels equally common, the first in prompt order is taken. `train_label_counts` is
    `{task: {label: n}}` and has every task of the predictions.
    """
    return [_guess(train_label_counts[prediction.task], prediction) for prediction in predictions]


def linear_svm(
    train_texts: Sequence[str], train_labels: Sequence[str], texts: Sequence[str], seed: int
) -> Sequence[str]:
    """Return the label of each of `texts` by a linear support vector machine on character 1-3-grams.

    It is scikit-learn's with its defaults, on TF-IDF with log term frequencies; one against the rest. It has margins
    and no probabilities. `train_texts` is not empty; where all have one label, so have all answers.
    """
    if len(set(train_labels)) == 1:
        return [train_labels[0]] * len(texts)
    # A space keeps a record without words a record, and a vocabulary from being empty.
    ngrams = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    known = ngrams.fit_transform([f" {text}" for text in train_texts])
    machine = LinearSVC(random_state=seed).fit(known, train_labels)
    answers: list[str] = machine.predict(ngrams.transform([f" {text}" for text in texts])).tolist()
    return answers


def _guess(counts: Mapping[str, int], prediction: Prediction) -> Prediction:
    total = sum(counts.values())
    shares = {label: counts.get(label, 0) / total for label in prediction.probabilities}
    predicted = max(shares, key=shares.__getitem__)
    return dataclasses.replace(prediction, predicted=predicted, probabilities=shares, passages=[], ocr="")
