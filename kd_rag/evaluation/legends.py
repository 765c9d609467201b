"""What the figures of the pages mean, in the words that stand beneath them on every page."""

SCORES_LEGEND = """\
A task's score is 100 × weighted F1, with its 95% bootstrap interval over the records; average is the mean of
the tasks' scores. nll (mean −log p of the gold label, in nats) and ece (expected calibration error, 15 bins) are
means over the tasks too. Baselines are scored on the same records; the majority class is that of the training set.
Whether a difference may be chance is told below, by comparison on the same records, not by intervals that overlap."""

EPOCHS_LEGEND = "100 × weighted F1 on valid while the runs were trained."

COMPARISON_LEGEND = """\
A difference is that of 100 × weighted F1, with the 95% interval and two-sided p of a bootstrap that draws the same
records for both sides; it is within noise where the interval holds 0. Of several seeds these are drawn too, and what is
shown are the outer ends and the larger p of the bootstrap and of Welch's t over the seeds. McNemar's exact p is of the
records that one side alone has right, by the commonest answer of its seeds. Every row stands for itself: of twenty rows
without any difference behind them, one is told as a difference."""

KEPT_LEGEND = """\
Of each distilled run whose teacher is among the runs: agreement is the share of equal answers, right or wrong; lost are
the records that the teacher alone has right, gained those that the student alone has right."""

LEAKS_LEGEND = """\
Records are those that asked for passages. The guard kept from some the passages that they are, are copied in or were
made into. It lets near-copies pass (records of which a passage has nearly the vector, by kind of passage), and passages
that hold the record's gold label word by word (passages, by kind): a score that rests on these is too high."""

SET_RIGHT_LEGEND = """\
The first run beside each other one, on the tasks of which one of the two alone was shown passages: set right are
records that this one alone has right, set wrong those that the one without has right. What else differs between the two
counts as well; `evaluate --out DIR tasks.NAME.retrieval.eval=false` takes nothing away but the passages."""

NO_PASSAGES = "There is nothing to tell: it takes a run that was shown passages, or a second one that was not."

ABLATION_LEGEND = """\
100 × weighted F1 as mean ± standard deviation over the seeds that finished; average is the mean of the tasks' scores.
Published figures are other people's, on their own test set."""

ABLATION_EPOCHS_LEGEND = """\
100 × weighted F1 on valid while the runs were trained, mean over the seeds. Where the columns were asked for, each
shows the nearest evaluation, at most a quarter of an epoch away: epochs of an odd number of steps have no half.
Published figures are other people's, on their own test set."""

SEARCH_LEGEND = """\
Trials are the base with the values shown, drawn one after another. The score is that of the best checkpoint on valid,
as a mean over the seeds, and chooses the best trial; it is a little high, as the best of many is. A pruned trial fell
behind the median of those before it."""
