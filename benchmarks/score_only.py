"""Masks and rankings learned from scores alone, against those of exact gradients, by number of queries.

Run with ``python -m benchmarks.score_only``.  The same classifier is explained twice, once with its gradient hidden.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.each_photo import left_of_each, means_of
from benchmarks.common.hardware import machine, record, recorded
from benchmarks.common.judged import said, spread, within
from benchmarks.common.masked import DELETED, OwnScore
from benchmarks.common.photos import LabelledPhotos, confident_photos
from benchmarks.paper.statistics import compared, verdict
from blackbox_explain import BlackBox, Blur, MaskExplanation, explain, wrap
from blackbox_explain.methods.mask.settings import Settings

BUDGETS = (500, 1000, 2000, 5000)
WANTED = {1000: 1.6, 5000: 1.15}
"""The most that the mean objective may be, in that of 300 exact gradients, by queries for each photo."""
SUPPRESSION, AT_LEAST, OVERHEAD = 0.95, 0.95, 0.10
"""At 5,000 queries: suppression wanted, and of which share of the photos; of all runs, time beside the model."""
BATCH = 4
SHAP_PASSES = 1000
STORED = 20
"""Photos, of results that are stored."""
ROWS = ("exact", *map(str, BUDGETS), "SHAP")
"""Of the table of rankings."""

Verdicts = dict[str, bool | None]
"""By what was wanted: None where it cannot be told from chance, or too little is stored to tell."""

console = Console(width=120, highlight=False, markup=False)


class ScoresOnly:
    """A black box whose gradient is hidden, with the time that it takes."""

    def __init__(self, box: BlackBox) -> None:
        self.spec = box.spec
        self.seconds = 0.0
        self._box = box

    def scores(self, images: Any) -> Any:
        """Pass on, and count the time."""
        started = time.perf_counter()
        answer = self._box.scores(images)
        self.seconds += time.perf_counter() - started
        return answer


def learn(box: BlackBox, images: Any, preset: str, **options: Any) -> list[MaskExplanation]:
    """Learn masks or rankings, batch by batch."""
    return [
        explain(box, images[first : first + BATCH], method="mask", preset=preset, progress=False, **options)
        for first in range(0, len(images), BATCH)
    ]


def learn_timed(box: ScoresOnly, images: Any, preset: str, **options: Any) -> tuple[list[MaskExplanation], list[Any]]:
    """Learn from scores; return also the seconds of each batch, in all and of them within the model."""
    found, times = list[MaskExplanation](), list[Any]()
    for first in range(0, len(images), BATCH):
        started, inside = time.perf_counter(), box.seconds
        found += learn(box, images[first : first + BATCH], preset, **options)
        times.append((time.perf_counter() - started, box.seconds - inside))
    return found, times


def measure(box: BlackBox, results: list[MaskExplanation]) -> dict[str, Any]:
    """Return objectives (eq. 4, mean over all jitters) and suppression, photo by photo."""
    objective = np.concatenate([OwnScore(box, one, Settings("authors")).objective() for one in results])
    suppression = np.concatenate([one.suppression for one in results])
    return {
        "objective": float(objective.mean()),
        "objectives": objective.round(5).tolist(),
        "suppressions": suppression.round(4).tolist(),
        "area": float(np.concatenate([one.area for one in results]).mean()),
    }


def ranked(box: BlackBox, images: Any, results: list[MaskExplanation], maps: Any = None) -> dict[str, Any]:
    """Return the mean normalised score left once each share of the pixels is blurred, and ``each`` photo's.

    The order is that of the results' own maps, or of others.
    """
    order = np.concatenate([one.saliency for one in results]) if maps is None else maps
    each = left_of_each(box, np.asarray(images), results, order, DELETED)
    return {"left": means_of(each), "each": each}


def by_shap(box: BlackBox, images: Any, results: list[MaskExplanation], passes: int) -> np.ndarray[Any, Any]:
    """Return the maps (N, *spatial) of SHAP's partition explainer, whose pixels that are gone are blurred as ours are.

    It is the strongest peer that scores are enough for; needs ``pip install shap``.
    """
    shap: Any = import_module("shap")

    weights = np.concatenate([one.weights for one in results])
    gone = np.asarray(Blur().levels(np.asarray(images), box.spec, 0)[0])
    maps: list[np.ndarray[Any, Any]] = []
    for image, blurred, own in zip(np.asarray(images), gone, weights, strict=True):

        def scores(pixels: Any, own: Any = own) -> Any:
            found = box.scores(np.ascontiguousarray(np.moveaxis(pixels, -1, 1), np.float32))
            return np.asarray(found) @ own

        masker = shap.maskers.Image(np.moveaxis(blurred, 0, -1), (*image.shape[1:], image.shape[0]))
        explainer = shap.PartitionExplainer(scores, masker)
        found = explainer(np.moveaxis(image, 0, -1)[None], max_evals=passes, batch_size=50, silent=True)
        maps.append(found.values[0].sum(axis=-1))
    return np.stack(maps)


def judge(rows: dict[str, Any], exact: dict[str, Any]) -> Verdicts:
    """Say which of the wanted figures were reached: means by all photos, time by all batches of photos."""
    known = np.asarray(exact["objectives"])
    found: Verdicts = {
        f"objective at {queries} queries at most {most} of the exact": within(
            [(np.asarray(rows[str(queries)]["objectives"]) - most * known).tolist()], 0.0
        )
        for queries, most in WANTED.items()
        if str(queries) in rows
    }
    if "5000" in rows:
        enough = np.mean(np.asarray(rows["5000"]["suppressions"]) >= SUPPRESSION)
        found[f"suppression of {SUPPRESSION} on {AT_LEAST:.0%} of the photos"] = bool(enough >= AT_LEAST)
    beside = [one.get("overheads", [one["overhead"]]) for one in rows.values()]
    found[f"loop at most {OVERHEAD:.0%} beside the model"] = within(beside, OVERHEAD)
    return found


def better_than_peer(rows: dict[str, Any]) -> Verdicts:
    """Say which budgets leave less of the score than the peer at every share, photo by photo.

    Rows of earlier results hold means alone, of which nothing can be said.
    """
    peer = rows.get("SHAP", {}).get("each")
    found: Verdicts = {}
    for most in BUDGETS:
        if most >= SHAP_PASSES and str(most) in rows and "SHAP" in rows:
            own = rows[str(most)].get("each")
            tests = [compared(np.asarray(own[one]), np.asarray(peer[one])) for one in own] if own and peer else []
            found[f"{most} queries better than SHAP's {SHAP_PASSES} passes at every share"] = verdict(tests, "lower")
    return found


def better_photo_by_photo(each: dict[str, list[list[float]]]) -> Verdicts:
    """Say whether our rankings leave less than the peer's at every share, at the same number of passes."""
    ours, theirs = (np.asarray(each[name]).T for name in ("ours", "SHAP"))
    tests = [compared(own, peer) for own, peer in zip(ours, theirs, strict=True)]
    return {f"{SHAP_PASSES} queries better than as many passes of SHAP at every share": verdict(tests, "lower")}


def verdicts_of(measured: dict[str, Any]) -> Verdicts:
    """Return what is said of stored results of any kind: what an earlier version said by means alone is left out."""
    if "by_queries" in measured:
        return judge(measured["by_queries"], measured["exact"])
    return better_than_peer(measured["rows"]) if "rows" in measured else better_photo_by_photo(measured["left"])


def draw(rows: dict[str, Any], exact: dict[str, Any], path: Path) -> None:
    """Plot the objective against the number of queries."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    counts = [int(count) for count in rows]
    for photo in range(len(exact["objectives"])):
        each = [row["objectives"][photo] for row in rows.values()]
        axes.plot(counts, each, color="0.8", linewidth=0.7, zorder=1)
    axes.plot(counts, [row["objective"] for row in rows.values()], "o-", color="C0", label="scores alone, mean")
    axes.axhline(exact["objective"], color="C3", linestyle="--", label="300 exact gradients, mean")
    axes.set(xscale="log", xticks=counts, xticklabels=[f"{one:,}" for one in counts], ylim=(0, None))
    axes.minorticks_off()
    axes.set(xlabel="queries for each photo", ylabel="objective (eq. 4)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


def of_masks(box: BlackBox, chosen: LabelledPhotos, plot: Path) -> None:
    """Compare the masks of the preset ``authors``."""
    photos = len(chosen.paths)
    started = time.perf_counter()
    results = learn(box, chosen.images, "authors")
    seconds = time.perf_counter() - started
    exact = {**measure(box, results), "seconds_per_photo": seconds / photos}
    rows: dict[str, Any] = {}
    for queries in BUDGETS:
        hidden = ScoresOnly(box)
        results, times = learn_timed(hidden, chosen.images, "authors", queries=queries)
        whole, inside = np.asarray(times).T
        used = int(max(one.queries.sum(axis=1).max() for one in results))
        rows[str(queries)] = {
            **measure(box, results),
            "queries_used": used,
            "seconds_per_photo": float(whole.sum()) / photos,
            "overhead": float(whole.sum() / inside.sum()) - 1,
            "overheads": (whole / inside - 1).tolist(),
        }
        console.print(f"  {queries} queries: {rows[str(queries)]['objective']:.4f}, exact {exact['objective']:.4f}")
    table = Table("queries", "objective", "of exact", "suppression ≥ .95", "area", "s / photo", "beside the model")
    table.add_row("exact", f"{exact['objective']:.4f}", "1.00", _share(exact), f"{exact['area']:.1%}", "", "")
    for queries, row in rows.items():
        table.add_row(
            queries,
            f"{row['objective']:.4f}",
            f"{row['objective'] / exact['objective']:.2f}",
            _share(row),
            f"{row['area']:.1%}",
            f"{row['seconds_per_photo']:.1f}",
            spread(row["overheads"], ".1%"),
        )
    console.print(table)
    verdicts = judge(rows, exact)
    show_verdicts(verdicts)
    if photos == STORED:
        draw(rows, exact, plot)
        names = [path.name for path in chosen.paths]
        store_as("score-only", names, {"exact": exact, "by_queries": rows, "verdicts": verdicts})


def of_rankings(box: BlackBox, chosen: LabelledPhotos, budgets: Sequence[int], peer: bool) -> None:
    """Compare the rankings of the preset ``fast``, and those of the strongest peer that scores are enough for.

    What is stored of other budgets, and of the peer where it is not asked, is kept with its commit.
    """
    names = [path.name for path in chosen.paths]
    exact = learn(box, chosen.images, "fast")
    measured: dict[str, Any] = {"exact": {**ranked(box, chosen.images, exact), "queries": most_asked(exact)}}
    for most in budgets:
        results = learn(ScoresOnly(box), chosen.images, "fast", queries=most)
        measured[str(most)] = {**ranked(box, chosen.images, results), "queries": most_asked(results)}
        console.print(f"  {most} queries: {measured[str(most)]['left']}")
    if peer:
        maps = by_shap(box, chosen.images, exact, SHAP_PASSES)
        measured["SHAP"] = {**ranked(box, chosen.images, exact, maps), "queries": SHAP_PASSES}
    commit = machine()["commit"]
    stored = recorded("score-only-rankings")
    rows = {name: {**row, "commit": commit} for name, row in measured.items()}
    if stored and stored["settings"]["photos"] == names:
        known = stored["measured"]["rows"]
        rows = {name: rows.get(name) or known[name] for name in ROWS if name in rows or name in known}
    table = Table("queries", *(f"{share:.0%}" for share in DELETED), title="score left, most salient share blurred")
    for name, row in rows.items():
        table.add_row(name, *(f"{value:.2f}" for value in row["left"].values()))
    console.print(table)
    verdicts = better_than_peer(rows)
    show_verdicts(verdicts)
    if len(names) == STORED:
        store_as("score-only-rankings", names, {"rows": rows, "verdicts": verdicts})


def of_peer(box: BlackBox, chosen: LabelledPhotos) -> None:
    """Compare our rankings with the strongest peer's at the same number of passes, photo by photo."""
    each: dict[str, list[list[float]]] = {"ours": [], "SHAP": []}
    for first in range(0, len(chosen.paths), BATCH):
        images = chosen.images[first : first + BATCH]
        results = learn(ScoresOnly(box), images, "fast", queries=SHAP_PASSES)
        maps = by_shap(box, images, results, SHAP_PASSES)
        for name, ranking in (("ours", None), ("SHAP", maps)):
            left = ranked(box, images, results, ranking)["each"]
            each[name] += [list(one) for one in zip(*left.values(), strict=True)]
        console.print(f"  {len(each['ours'])} of {len(chosen.paths)} photos")
    ours, theirs = (np.asarray(one) for one in each.values())
    tests = [compared(own, peer) for own, peer in zip(ours.T, theirs.T, strict=True)]
    rows: dict[str, Any] = {}
    table = Table("share", f"ours, {SHAP_PASSES}", "SHAP", "difference", "p", title="score left")
    for share, own, peer, test in zip(DELETED, ours.mean(axis=0), theirs.mean(axis=0), tests, strict=True):
        rows[f"{share:.2f}"] = {"ours": float(own), "SHAP": float(peer), "p": test.p}
        table.add_row(f"{share:.0%}", f"{own:.3f}", f"{peer:.3f}", f"{test.difference:+.3f}", f"{test.p:.2g}")
    console.print(table)
    verdicts = better_photo_by_photo(each)
    show_verdicts(verdicts)
    names = [path.name for path in chosen.paths]
    left = {name: np.round(one, 4).tolist() for name, one in each.items()}
    store_as("score-only-peer", names, {"shares": rows, "left": left, "verdicts": verdicts})


def most_asked(results: list[MaskExplanation]) -> int:
    """Return the most that any image was asked for, scores and gradients."""
    return int(max(one.queries.sum(axis=1).max() for one in results))


def show_verdicts(verdicts: Verdicts) -> None:
    """Print which of the wanted figures were reached."""
    for what, reached in verdicts.items():
        console.print(f"{said(reached)}: {what}")


def store_as(name: str, photos: list[str], measured: dict[str, Any]) -> None:
    """Store what was measured, and say where."""
    path = record(name, {"photos": photos}, measured)
    console.print(f"stored in {path.parent.name}/{path.name}")


def main(
    what: Annotated[
        Literal["masks", "rankings", "peer", "all"],
        typer.Option(help="What is learned; peer: rankings beside SHAP's, of all photos, photo by photo."),
    ] = "all",
    photos: Annotated[int, typer.Option(help="How many photos; results are stored for 20.")] = STORED,
    threads: Annotated[int | None, typer.Option(help="That the model may use; None: as many as it likes.")] = None,
    queries: Annotated[
        list[int] | None, typer.Option(help="Of rankings: measure this budget, and keep what is stored; repeatable.")
    ] = None,
    shap: Annotated[bool, typer.Option(help="Whether SHAP is asked again.")] = True,
    plot: Annotated[Path, typer.Option(help="Where the curve of masks is drawn.")] = Path(
        "docs/pictures/score-only.png"
    ),
) -> None:
    """Compare masks from scores with masks from gradients on photos that the classifier gets right with p > 0.5."""
    box = wrap("efficientnet-lite0", threads=threads)
    chosen = confident_photos(box, "stretch", limit=photos)
    console.print(machine()["processor"])
    if photos != STORED:
        console.print(f"masks and rankings are not stored: results are of {STORED} photos")
    if what in ("rankings", "all"):
        of_rankings(box, chosen, queries or BUDGETS, shap)
    if what in ("masks", "all"):
        of_masks(box, chosen, plot)
    if what == "peer" or (what == "all" and shap):
        of_peer(box, confident_photos(box, "stretch"))


def _share(row: dict[str, Any]) -> str:
    values = np.asarray(row["suppressions"])
    return f"{int((values >= SUPPRESSION).sum())} of {len(values)}"


if __name__ == "__main__":
    typer.run(main)
