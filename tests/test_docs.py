"""README and docs: their examples run, their figures are those measured, their links lead somewhere."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.audits.audit_rate import filled, section, stored_rates
from benchmarks.common.hardware import RESULTS, documented
from benchmarks.convergence import HELD_OUT, VARIANTS, lines_of
from blackbox_explain.rules.measuring.faithfulness import percent

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
FRAGMENTS = ("docs/add-an-onnx-operator.md",)
"""Pages whose examples show parts of files."""

LONGEST_README = 1000
"""Words."""


def measured(benchmark: str) -> dict[str, Any]:
    """Return what the docs are to show."""
    stored = documented(benchmark)
    assert stored, f"{benchmark} was never run"
    return stored["measured"]


def _examples(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_readme_examples_run_each_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = _examples("README.md")
    assert examples
    monkeypatch.chdir(tmp_path)
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("README.md", *FRAGMENTS) and _examples(page)])
def test_examples_run_from_top_to_bottom(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for example in _examples(page):
        exec(compile(example, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for path, _, anchor in (link.partition("#") for link in links if "://" not in link):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        if anchor:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= LONGEST_README


def test_figures_are_those_measured() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    quality = measured("quality-stretch")
    for name, row in quality["presets"].items():
        objective = f"{row['objective']:.4f}" if "objective" in row else "-"
        left = " | ".join(f"{row['score_left_under'][one]:.2f}" for one in ("two-level blur", "constant", "noise"))
        assert f"| `{name}` | {objective} | {row['region']:.1%} | {row['weak']} | {left} |" in text
    for name, row in (*quality["hard_deletion"].items(), *quality["hard_preservation"].items()):
        assert f"| {name} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |" in text
    for name, row in (*quality["smallest_region"].items(), *quality["smallest_region_kept"].items()):
        assert f"| {name} | " + " | ".join(f"{one['share']:.1%} ({one['enough']:.0%})" for one in row.values()) in text
    googlenet = measured("quality-googlenet-stretch")
    for name, row in googlenet["presets"].items():
        objective = f"{row['objective']:.4f}" if "objective" in row else "-"
        left = " | ".join(f"{row['score_left_under'][one]:.2f}" for one in ("two-level blur", "constant", "noise"))
        other = f"{row['score_left_of_other_model']['left']:.2f}"
        assert f"| `{name}` | {objective} | {row['region']:.1%} | {row['weak']} | {left} | {other} |" in text
    for name, row in (*googlenet["hard_deletion"].items(), *googlenet["hard_preservation"].items()):
        assert f"| {name} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |" in text
    for name, row in (*googlenet["smallest_region"].items(), *googlenet["smallest_region_kept"].items()):
        assert f"| {name} | " + " | ".join(f"{one['share']:.1%} ({one['enough']:.0%})" for one in row.values()) in text
    for row in (row for backend in ("onnx", "torch", "tensorflow") for row in measured(f"overhead-{backend}")["rows"]):
        if row["batch"] == 16:
            assert f"| {row['backend']} | `{row['preset']}` | {row['ratio']:.2f} | {row['beside']:.1%} |" in text
    for by, rows in measured("memory").items():
        peaks = [f"{row['peak_mib']:.0f}" for varied in ("batch", "steps", "images") for row in rows[varied]]
        assert f"| {by} | {' | '.join(peaks)} |" in text
    speed = measured("onnx-gradient")
    for name, rows in speed["networks"].items():
        row = rows["8"]
        ratios = (row["over_torch"], row["over_channels_last"], row["over_forward"])
        assert f"| {name} | {row['gradient_ms_per_image']:.1f} | " + " | ".join(f"{one:.2f}" for one in ratios) in text
    exports = measured("exports")
    for name, row in exports["pairs"].items():
        figures = f"{row['score_difference']:.4f} | {row['correlation']:.3f} | {row['correlation_least']:.3f}"
        assert f"| {name} | {figures} |" in text or name.endswith("preset fast")
    alone = measured("score-only")
    for queries, row in alone["by_queries"].items():
        ratio = row["objective"] / alone["exact"]["objective"]
        enough = sum(one >= 0.95 for one in row["suppressions"])
        assert (
            f"| {int(queries):,} | {row['objective']:.4f} | {ratio:.2f} | {enough} of 20 | {row['overhead']:.1%} |"
            in text
        )
    rankings = measured("score-only-rankings")
    for name, row in rankings["rows"].items():
        left = " | ".join(f"{one:.2f}" for one in row["left"].values())
        assert f"| {name} | {row['queries']:,} | {left} |" in text
    shares = measured("score-only-peer")["shares"].values()
    for name, key, form in (
        ("1,000 queries", "ours", ".3f"),
        ("SHAP, 1,000", "SHAP", ".3f"),
        ("p (Wilcoxon)", "p", ".2g"),
    ):
        assert f"| {name} | {' | '.join(format(one[key], form) for one in shares)} |" in text
    found = [measured(f"rules-{name}")["relations"] for name in ("efficientnet-lite0", "googlenet")]
    for rows in zip(*found, strict=True):
        cells = [rows[0]["relation"]]
        for row in rows:
            error, low, high = (percent(row["chosen"][one]) for one in ("error", "low", "high"))
            largest = f"{row['theta']:g}{row['unit']}" if row["theta"] else "none"
            cells += [largest, f"{error} % ({low}–{high} %)"]
        assert f"| {' | '.join(cells)} |" in text


def test_estimates_for_large_data_sets_are_those_of_what_was_measured() -> None:
    text = (ROOT / "docs/audits.md").read_text(encoding="utf-8")
    assert filled(text, stored_rates()) == text
    row = {"images_per_second": 0.5, "bytes_per_image": 9000.0}
    told = section(
        {"machine": {"processor": "P"}, "measured": {"ways": {"mask": row}, "bytes_per_listed_image": 500.0}}
    )
    # A million images at one in two seconds are 556 hours; in a shard of a minute there are 30 of them.
    assert "| mask | 0.50 | 9,000 | 30 | 556 | 33,333 | 9.0 | 23 | 9.0 |" in told
    assert "0.50 GB of a million, and 500 GB of a billion" in told


def test_what_was_tried_for_rankings_is_what_was_measured() -> None:
    text = (ROOT / "docs/ranking.md").read_text(encoding="utf-8")
    found = measured("convergence")
    lines = [line for half in ("tuned_on", "held_out") for line in lines_of(found[half])]
    assert len(lines) == len(VARIANTS) + len(HELD_OUT)
    assert all(line in text for line in lines)


def test_readme_figures_are_those_measured() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    with (RESULTS / "paper/fig8/table.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["suppression"] == "0.95"]
    assert {row["images"] for row in rows} == {"200"}
    region, box = (
        {row["method"]: f"{100 * float(row['mean share']):.1f}" for row in rows if row["measure"] == measure}
        for measure in ("smallest region", "minimal box")
    )
    told = (("LRP (composite)", "LRP"), ("mask (paper)", "paper's mask"), ("Grad-CAM",) * 2)
    by_region, by_box = (", ".join(f"{name} {found[method]}" for method, name in told) for found in (region, box))
    assert f"| {region['mask (ours, fast)']} % of the photo ({by_region}) |" in text
    ours_by_box = f"{box['mask (ours, fast)']} %, as drawn {box['mask (ours, fast, as shown)']}"
    assert f"| {ours_by_box} ({by_box}) |" in text
    ours = {name for name in region if "ours" in name}
    assert min(region.keys() - ours, key=lambda one: float(region[one])) == "LRP (composite)"
    presets = measured("quality-stretch")["presets"]
    kept, of_paper = (presets[name]["score_left_of_other_model"]["left"] for name in ("fast", "paper"))
    assert f"| {100 * kept:.0f} % (paper's mask {100 * of_paper:.0f}) |" in text
    speed = measured("onnx-gradient")
    ratios = sorted(row["8"]["over_channels_last"] for row in speed["networks"].values())
    assert f"| {ratios[0]:.2f} to {ratios[-1]:.2f} |" in text


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/how-it-works.md", "docs/add-an-onnx-operator.md"])
def test_paths_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:[\w.-]+/)*[\w-]+(?:/|\.py))`", text)
    roots = (ROOT, ROOT / "blackbox_explain", ROOT / "adapters/blackbox_explain_adapters")
    roots += (ROOT / "blackbox_explain/methods/mask", ROOT / "blackbox_explain/explanation")
    roots += tuple((ROOT / "adapters/blackbox_explain_adapters/_onnx").glob("**/"))
    assert len(named) >= 3
    assert [path for path in named if not any((root / path).exists() for root in roots)] == []
