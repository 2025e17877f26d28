"""The options of the demo's command and the variables of make, checked before anything starts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.local.__main__ import USAGE, demo, main
from infra.local.cloud import REPOSITORY
from infra.local.demo_options import EXAMPLES, VARIABLES, DemoOptions

OPTIONS = {each.name: each.opts[0] for each in demo.params}
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Run make without its recipes."""
    return subprocess.run(
        ["make", "--dry-run", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def taken_by_demo() -> list[str]:
    found = re.search(r"^TAKEN_BY_demo *:= (.*)$", MAKEFILE, re.MULTILINE)
    assert found is not None
    return found[1].split()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--items", "500", "--data", "orders.json"), "use one of them"),
        (("--key", "pk:S"), "--key describes the items of --data FILE"),
        (("--chaos", "tornado"), "tornado"),
        (("--chaos", "kill=2"), "not a rate between 0 and 1"),
        (("--switch", "yes"), "'yes' is not one of 'off', 'on', 'writes-stopped'"),
        (("--lsi", "yes"), "'yes' is not one of 'off', 'on'"),
        (("--buffer", "sqs"), "'sqs' is not one of 'kinesis', 'streams'"),
        (
            ("--buffer", "streams", "--chaos", "poison=0.1"),
            "none can be put into a table's own stream",
        ),
        (("--items", "few"), "'few' is not a valid integer"),
        (("--foo",), "No such option '--foo'. It takes --items, --min-changes"),
        (("--items",), "requires an argument"),
        (("stray",), "unexpected extra argument (stray)"),
    ],
)
def test_options_that_cannot_be_used_are_refused_before_anything_starts(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    ran = CliRunner().invoke(main, ["demo", "--directory", str(tmp_path / "demo"), *options])
    assert ran.exit_code == USAGE
    assert said in ran.output
    assert "\nTry: " in ran.output
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("name", VARIABLES)
def test_a_refused_value_is_called_as_make_calls_it_with_one_that_works(name: str) -> None:
    """The examples are accepted, apart from a data file that is not there."""
    command, target, *given = EXAMPLES[name].split()
    assert (command, target) == ("make", "demo")
    values = dict(each.split("=", 1) for each in given)
    assert VARIABLES[name] in values
    names = {variable: option for option, variable in VARIABLES.items()}
    words = [word for key, value in values.items() for word in (OPTIONS[names[key]], value)]
    assert demo.make_context("demo", words).params[name] is not None
    printed = make("demo", *given)
    assert printed.returncode == 0, printed.stderr
    assert f'{OPTIONS[name]} "{values[VARIABLES[name]]}"' in printed.stdout


def test_make_takes_exactly_the_variables_that_the_demo_knows() -> None:
    assert taken_by_demo() == list(VARIABLES.values())
    assert EXAMPLES.keys() == VARIABLES.keys() <= OPTIONS.keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("demo", "LSl=on"), "make demo does not take LSl. It takes ITEMS "),
        (("demo", "items=5000"), "make demo does not take items."),
        (("demo", "MINUTES=3", "ITEMS=60"), "make demo does not take MINUTES."),
        (
            ("soak", "MINUTE=3"),
            "make soak does not take MINUTE. It takes MINUTES SEED REPLAY CRASH",
        ),
        (("test", "SWITCH=on"), "make test does not take SWITCH. It takes PYTHON."),
        (("ITEMS=3",), "make help does not take ITEMS."),
    ],
)
def test_a_variable_that_a_target_of_make_would_ignore_is_refused(
    words: tuple[str, ...], said: str
) -> None:
    refused = make(*words)
    assert refused.returncode == USAGE
    assert said in refused.stdout
    advice = re.search(r"^Try: make (.*)$", refused.stdout, re.MULTILINE)
    assert advice is not None
    tried = make(*advice[1].split())
    assert tried.returncode == 0, tried.stderr


def test_variables_that_a_target_knows_pass() -> None:
    for words in (
        ("serve", "BUFFER=streams"),
        ("soak", "MINUTES=3", "SEED=1"),
        ("demo", "ITEMS=60", "PYTHON=python3"),
        (),
    ):
        passed = make(*words)
        assert passed.returncode == 0, passed.stderr


def test_make_serves_with_the_buffer_that_it_is_told() -> None:
    assert "--buffer" not in make("serve").stdout
    assert 'infra.local serve --buffer "streams"' in make("serve", "BUFFER=streams").stdout


def test_local_indexes_of_data_without_a_sort_key_are_refused_with_the_reason(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data.json"
    data.write_text('{"Item": {"pk": {"S": "a"}}}\n')
    given = ["--data", str(data), "--lsi", "on", "--directory", str(tmp_path / "demo")]
    ran = CliRunner().invoke(main, ["demo", *given])
    assert ran.exit_code == USAGE
    assert "a table without a sort key has no local secondary indexes" in ran.output
    assert "\nTry: " in ran.output
    assert not (tmp_path / "demo").exists()


def test_the_report_names_every_option_with_the_value_that_ran() -> None:
    context = demo.make_context("demo", ["--switch", "on", "--items", "60", "--chaos", "kill=0.1"])
    options = DemoOptions(**context.params)
    named = options.as_json()
    assert named.keys() == OPTIONS.keys() - {"help", "directory"}
    assert (named["switch"], named["items"], named["chaos"]) == ("on", 60, "kill=0.1")
    assert {DemoOptions().as_json()[name] for name in ("switch", "chaos", "lsi")} == {"off"}
    assert DemoOptions().as_json()["buffer"] == "kinesis"
    assert DemoOptions(data=Path("mine.json")).as_json()["items"] is None
