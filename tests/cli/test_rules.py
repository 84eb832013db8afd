"""What a user of ``blackbox-explain rules`` types and sees."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import blackbox_explain as bx
from blackbox_explain.cli import app
from blackbox_explain.errors import ResultError
from blackbox_explain.rules.measuring.faithfulness import Faithfulness
from blackbox_explain.rules.relations import CATALOGUE
from blackbox_explain.samples import CAT, COFFEE

RUNNER = CliRunner()

SOURCE = '''
import numpy as np
import blackbox_explain as bx

class Bright:
    """Class 1 where the upper left quarter is brighter than 0.6, a third class never."""

    spec = bx.InputSpec((3, 32, 32), class_names=("dark", "bright", "neither"))

    def scores(self, images):
        level = np.clip(2 * images[:, :, :16, :16].mean(axis=(1, 2, 3)) - 0.7, 0, 1)
        return np.stack([0.95 * (1 - level), 0.95 * level, np.full(len(level), 0.05)], axis=1)

def model():
    return Bright()

def never_asked():
    box = Bright()
    box.scores = lambda images: 1 / 0
    return box

def signals():
    return bx.wrap(lambda x: np.stack([x.mean(axis=(1, 2)), 1 - x.mean(axis=(1, 2))], axis=1), shape=(1, 64))
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos of two classes, of mixed sizes and formats, and what is known of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bright.py").write_text(SOURCE, encoding="utf-8")
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for index in range(12):
        size = (32 + 8 * (index % 3), 32 + 4 * (index % 2))
        level = 200 if index % 2 else 60
        pixels = np.clip(rng.normal(level, 10, (*size, 3)), 0, 255).astype(np.uint8)
        name = f"{'more/' * (index > 8)}photo {index}.{'png' if index % 4 else 'jpg'}"
        Image.fromarray(pixels).save(photos / name)
        rows.append({"file": name, "label": "bright" if index % 2 else "dark", "x0": 0, "y0": 0, "x1": 20, "y1": 20})
    with (tmp_path / "known.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return photos


def run(*arguments: str | Path) -> Result:
    return RUNNER.invoke(app, ["rules", *(str(one) for one in arguments)])


MODEL = ("--model", "bright:model", "--fit", "stretch", "--max-error", "0.7")


def test_everything_is_asked_written_and_shown(folder: Path) -> None:
    result = run(folder, *MODEL, "--labels", "known.csv", "--boxes", "known.csv")
    assert result.exit_code == 0, result.output
    report = json.loads(Path("rules/rules.json").read_text(encoding="utf-8"))
    assert [one["relation"]["kind"] for one in report["relations"]] == [one.__name__ for one in CATALOGUE.values()]
    by_name = {one["relation"]["kind"]: one for one in report["relations"]}
    assert by_name["GreyScale"]["chosen"]["error"] == 0
    assert by_name["Brightness"]["curve"][-1]["errors"] > 0
    assert by_name["Brightness"]["nearest"]
    assert report["classes"]["correct"]["share"] == 1
    assert (report["fit"], report["white"]) == ("stretch", None)
    assert report["images"] == 12 == len(report["photos"])
    assert "more/photo 9.png" in report["photos"]
    for name in CATALOGUE:
        assert (Path("rules") / f"{name}.png").stat().st_size > 5000
    assert Path("rules/brightness-nearest.png").exists()
    assert not Path("rules/grey-scale-nearest.png").exists()
    words = " ".join(result.output.replace("│", " ").split())
    assert "the top class stays the same" in words
    assert "the top class is the true class: 100 % of 12" in words
    assert "the class survives without the object" in words


def test_a_model_that_may_not_see_what_it_should_is_doubted(folder: Path) -> None:
    Path("blind.py").write_text(
        "import numpy as np\n"
        "def model():\n"
        "    def scores(x):\n"
        "        dim = np.tile(x.mean((1, 2, 3))[:, None] / 255, (1, 11))\n"
        "        z = np.concatenate([dim, np.full((len(x), 1), 3.0)], 1)\n"
        "        return np.exp(z) / np.exp(z).sum(1, keepdims=True)\n"
        "    return scores\n",
        encoding="utf-8",
    )
    options = ("--model", "blind:model", "--shape", "3,24,24", "--max-error", "0.7", "--relations", "jpeg")
    done = run(folder, *options, "--mean", "0.485,0.456,0.406", "--range", "255")
    assert done.exit_code == 0, done.output
    report = json.loads(Path("rules/rules.json").read_text(encoding="utf-8"))
    assert "in other units than they are" in report["doubts"][0]
    assert "of 12 of 12 images, and of the same images fully perturbed" in " ".join(report["doubts"])
    words = " ".join(done.output.split())
    assert "the model may not see them as it should: see below" in words
    assert words.count("check: ") == len(report["doubts"]) == len(set(report["doubts"]))


def test_relations_are_chosen_and_json_is_all_that_is_printed(folder: Path) -> None:
    result = run(folder, *MODEL, "--relations", "rotation, jpeg,rotation", "--joint", "rotation,scale", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [one["relation"]["kind"] for one in report["relations"]] == ["Rotation", "Jpeg"]
    assert [one["kind"] for one in report["joint"]["relations"]] == ["Rotation", "Scale"]
    assert Path("rules/rotation-and-scale.png").exists()
    assert report["classes"] is None
    # Every rule of the report can be checked again.
    box = bx.wrap("bright:model")
    names = report["photos"]
    samples = bx.rules.Samples.of(bx.load_images([folder / one for one in names], box.spec, fit="stretch"), box.spec)
    searched = [rule for one in report["relations"] for rule in (one["chosen"], *one["curve"])]
    for one in (*searched, *report["joint"]["looked_at"]):
        again = Faithfulness.from_dict(one).again(box, samples)
        assert (again.sentence, again.errors) == (one["sentence"], one["errors"])


def test_what_is_no_rule_is_not_read() -> None:
    with pytest.raises(ResultError, match="describes no measured rule"):
        Faithfulness.from_dict({"theta": 3})


def test_the_same_seed_gives_the_same_report_whatever_the_batch(folder: Path) -> None:
    reports = []
    for size in ("5", "32"):
        result = run(folder, *MODEL, "--relations", "gaussian-noise,occlusion", "--batch-size", size, "--json")
        report = json.loads(result.stdout)
        report.pop("seconds"), report.pop("batch_size")
        for one in report["relations"]:
            for rule in (one["chosen"], *one["curve"]):
                rule.pop("batch_size")
        reports.append(report)
    assert reports[0] == reports[1]


def test_a_corrupt_photo_is_named_and_left_out(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a photo")
    result = run(folder, *MODEL, "--relations", "horizontal-flip", "--labels", "known.csv")
    assert result.exit_code == 2
    assert "broken.jpg" in result.output
    report = json.loads(Path("rules/rules.json").read_text(encoding="utf-8"))
    assert report["images"] == 12
    assert "broken.jpg" in report["left_out"][0]["photo"]


def test_one_photo_says_too_little_and_how_many_it_takes(folder: Path) -> None:
    result = run(folder, *MODEL, "--relations", "rotation", "--limit", "1", "--max-error", "0.05")
    assert result.exit_code == 2
    words = " ".join(result.output.split())
    assert (
        "So few images cannot show that a rule is wrong for at most 5 % of all. Got 1; expected at least 147" in words
    )
    result = run(folder, *MODEL, "--relations", "horizontal-flip,grey-scale", "--limit", "1", "--max-error", "0.98")
    assert result.exit_code == 0, result.output
    assert "wrong" in result.output


def test_too_few_photos_show_what_they_can_and_say_so_first(folder: Path) -> None:
    model = ("--model", "bright:model", "--fit", "stretch")
    result = run(folder, *model, "--relations", "rotation", "--json")
    assert result.exit_code == 0, result.output
    # 45 rules are told apart: 1 - (0.05 / 90)^(1/12), rounded up.
    assert "12 photos are too few for --max-error 0.05, which takes 147" in result.stderr
    assert "they can show --max-error 0.465, which is looked for" in result.stderr
    report = json.loads(result.stdout)
    assert report["relations"][0]["max_error"] == 0.465
    # What is asked for is not changed, and a joint region, which takes more photos, is found out as early.
    unasked = ("--model", "bright:never_asked", "--fit", "stretch", "--out", "never")
    result = run(folder, *unasked, "--relations", "rotation", "--max-error", "0.3")
    assert result.exit_code == 2
    assert "Got 12; expected at least 22" in result.stderr
    assert "--max-error 0.465" in result.stderr
    result = run(folder, *unasked, "--relations", "rotation", "--joint", "rotation,scale", "--max-error", "0.5")
    assert result.exit_code == 2
    assert "Got 12; expected at least 17, to tell 1,885 rules apart" in result.stderr
    assert not Path("never").exists()


def test_files_and_folders_are_photos(folder: Path) -> None:
    files = (folder / "photo 1.png", folder / "photo 2.png", folder / "more")
    result = run(*files, *MODEL[:-2], "--max-error", "0.9", "--relations", "horizontal-flip", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["photos"] == ["photo 1.png", "photo 2.png", "photo 10.png", "photo 11.png", "photo 9.png"]
    assert "takes at least 2 photos; here are 5" in result.stderr


def test_a_part_that_fails_leaves_the_others(folder: Path) -> None:
    """All of the photo is object, so that nothing can be asked about shortcuts."""
    table = "file,x0,y0,x1,y1\n" + "".join(f"{path.relative_to(folder)},0,0,1,1\n" for path in folder.rglob("*.*g"))
    Path("boxes.csv").write_text(table.replace(",0,0,1,1", ",0,0,32,32"), encoding="utf-8")
    for path in folder.rglob("*.*g"):
        with Image.open(path) as picture:
            picture.resize((32, 32)).save(path)
    result = run(folder, *MODEL, "--relations", "horizontal-flip", "--boxes", "boxes.csv")
    assert result.exit_code == 2
    assert "shortcuts: No photo can be asked about its object" in " ".join(result.output.split())
    report = json.loads(Path("rules/rules.json").read_text(encoding="utf-8"))
    assert len(report["relations"]) == 1
    assert report["failed"][0]["part"] == "shortcuts"


def test_a_second_run_in_the_folder_of_photos_does_not_take_its_pictures(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.chdir(folder)
    for _ in range(2):
        assert run(".", *MODEL, "--relations", "rotation").exit_code == 0
        assert json.loads(Path("rules/rules.json").read_text(encoding="utf-8"))["images"] == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", *MODEL), "no such file or folder"),
        (("empty", *MODEL), "no photos in this folder"),
        (("photos", *MODEL, "--relations", "rotations"), "rotation"),
        (("photos", *MODEL, "--relations", " , "), "--relations names none"),
        (("photos", *MODEL, "--joint", "rotation"), "--joint takes two relations"),
        (("photos", *MODEL, "--relations", "none"), "nothing to examine"),
        (("photos", *MODEL, "--labels", "nowhere.csv"), "nowhere.csv"),
        (("photos", *MODEL, "--labels", "bright.py"), "bright.py"),
        (("photos", "--model", "bright:signals"), "does not read photos"),
        (("photos", "--model", "nowhere.onnx"), "nowhere.onnx"),
    ],
)
def test_mistakes_have_their_words_and_the_status_two(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    (folder.parent / "empty").mkdir()
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_the_default_model_on_real_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for photo in (CAT, COFFEE):
        shutil.copy(photo, tmp_path / "photos")
    result = run("photos", "--relations", "hue", "--max-error", "0.98", "--curve")
    assert result.exit_code == 0, result.output
    report = json.loads(Path("rules/rules.json").read_text(encoding="utf-8"))
    assert len(report["relations"][0]["curve"]) == 60
