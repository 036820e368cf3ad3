import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from multistage.domain.proposal.amendment import amend
from multistage.domain.proposal.calling import Calling, Invocation, call_by_options
from multistage.domain.proposal.draft import Proposal, Sighting, draft_proposal, find_seed, propose_candidates
from multistage.domain.proposal.script_options import ScriptOption
from multistage.domain.proposal.settings_text import merge_section, write_range, write_section
from multistage.domain.runs.results import Value
from multistage.domain.space.grammar import parse_params
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.errors import MultistageError, UsageError

USUAL: dict[str, Value] = {
    "lr": 1e-3, "batch_size": 64, "gamma": 0.99, "epochs": 20, "seed": 1, "bias": True, "optim": "adam", "device": 0,
    "foo": 2.5,
}  # fmt: skip
ROWS = ({"val/loss": 3.0, "epoch": 1.0}, {"val/loss": 2.0, "epoch": 2.0, "loss": 1.0})


def draft(**changes: Any) -> Proposal:
    calling = Calling(style="argparse", usual=USUAL, choices={"optim": ("adam", "sgd")})
    given: dict[str, Any] = {"sighting": Sighting(rows=ROWS, seconds=6.0), "workers": 2, **changes}
    invocation = given.pop("invocation", Invocation(program="train.py"))
    return draft_proposal("folder:train", invocation, given.pop("calling", calling), given.pop("sighting"), **given)


def swept(proposal: Proposal) -> list[str]:
    return [one.name for one in proposal.swept]


def test_what_is_known_by_name_is_swept_and_the_rest_shown() -> None:
    proposal = draft()
    assert swept(proposal) == ["lr", "batch_size", "gamma"]
    assert [one.name for one in proposal.candidates if not one.swept] == ["foo", "bias", "optim"]
    assert [one.is_known for one in proposal.swept] == [False, False, True]
    assert proposal.baseline == {"lr": 1e-3, "batch_size": 64, "gamma": 0.99}
    assert (proposal.metric, proposal.goal, proposal.others) == ("val/loss", "minimize", ("loss",))
    assert (proposal.seed_param, proposal.length and proposal.length.name) == ("seed", "epochs")
    assert proposal.pace is not None
    assert (proposal.pace.seconds, proposal.pace.estimated, proposal.budget) == (60, True, 300)


def test_numbers_of_unknown_names_are_swept_where_there_are_no_others() -> None:
    candidates = propose_candidates(Calling(style="argparse", usual={"foo": 2.5, "bar": 3, "ok": True, "port": 1}))
    assert [(one.name, one.swept) for one in candidates] == [("foo", True), ("bar", True), ("ok", False)]


def test_five_are_swept_at_most() -> None:
    usual: dict[str, Value] = {f"layer{place}.dropout": 0.1 for place in range(30)}
    candidates = propose_candidates(Calling(style="argparse", usual=usual))
    assert sum(one.swept for one in candidates) == 5
    assert len(candidates) == 17


def test_a_choice_that_its_user_has_made_is_none() -> None:
    proposal = draft(invocation=Invocation(program="train.py", typed=("--bias", "--lr", "0.1")))
    assert [one.name for one in proposal.candidates] == ["lr", "batch_size", "gamma", "foo", "optim"]


def test_without_a_run_metric_and_pace_are_unknown() -> None:
    proposal = draft(sighting=None, config={"max_steps": 5})
    assert (proposal.metric, proposal.goal, proposal.pace, proposal.budget) == (None, None, None, 100)
    assert find_seed(Calling(style="config", usual={"seed": "x"})) is None
    assert draft(sighting=Sighting()).metric is None


def test_a_script_without_values_of_its_own_is_given_those_that_are_not_swept() -> None:
    calling = Calling(style="config", usual=USUAL, unmoved=frozenset({"lr", "device", "seed"}))
    assert draft(calling=calling).fixed == {"device": 0}
    assert "train_arg = { device = 0 }" in write_section(draft(calling=calling))


def test_a_name_stands_among_the_candidates_once() -> None:
    proposal = draft()
    with pytest.raises(ValidationError, match="twice"):
        Proposal.model_validate(proposal.model_dump() | {"candidates": proposal.candidates * 2})


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("-gamma", ["lr", "batch_size"]),
        ("+bias", ["lr", "batch_size", "gamma", "bias"]),
        ("foo log:1-10", ["lr", "batch_size", "gamma", "foo"]),
        ("width int:1-4", ["lr", "batch_size", "gamma", "width"]),
    ],
)
def test_a_change_of_what_is_swept(change: str, names: list[str]) -> None:
    assert swept(amend(draft(), change)) == names


def test_changes_of_the_rest() -> None:
    proposal = draft()
    changes = ["lr 1e-4-1e-1", "usual lr 0.01", "metric loss", "budget 50", "workers 3", "seed none"]
    for change in changes:
        proposal = amend(proposal, change)
    assert proposal.candidates[0].parameter == FloatParameter(name="lr", low=1e-4, high=0.1, scale="log")
    assert proposal.baseline["lr"] == 0.01
    assert (proposal.metric, proposal.goal, proposal.others) == ("loss", "minimize", ("val/loss",))
    assert (proposal.budget, proposal.workers, proposal.seed_param) == (50, 3, None)
    assert amend(proposal, "seed rng").seed_param == "rng"
    assert amend(proposal, "goal maximize").goal == "maximize"
    assert amend(proposal, "metric foo").goal == "minimize"
    assert amend(draft(sighting=None), "metric foo").goal == "maximize"
    assert amend(draft(), "width 1-4").baseline == {}


def test_a_usual_value_goes_with_the_choices_that_lack_it_and_comes_back() -> None:
    chosen = amend(draft(), "lr [1e-4|3e-4]")
    assert chosen.baseline == {}
    assert amend(chosen, "usual lr 3e-4").baseline["lr"] == 3e-4
    assert amend(chosen, "lr log:1e-5-1e-1").baseline["lr"] == 1e-3
    assert amend(draft(), "lr [1e-4|1e-3]").baseline["lr"] == 1e-3
    assert amend(draft(), "lr int:1-9").baseline == {}


@pytest.mark.parametrize(
    "change",
    [
        "", "lr", "+width", "lr 1-", "lr 1-2,x:1-2", "usual lr", "usual width 3", "goal up", "budget 5", "budget x",
        "workers 0", "workers 1001", "lr 1 2", "-", "usual lr abc", "usual batch_size 2.5", "usual optim rmsprop",
        "seed lr", "seed a b", "seed --rng", "seed a=1",
    ],
)  # fmt: skip
def test_a_change_that_makes_no_sense_is_refused_with_a_remedy(change: str) -> None:
    with pytest.raises(MultistageError) as refused:
        amend(draft(), change)
    assert refused.value.hint


def test_something_stays_swept() -> None:
    proposal = amend(amend(draft(), "-gamma"), "-lr")
    with pytest.raises(UsageError, match="nothing is swept"):
        amend(proposal, "-batch_size")


def test_the_section_says_what_was_agreed_to() -> None:
    options = (ScriptOption(name="track", taking="switch"), ScriptOption(name="lr"))
    typed = ("--track", "--lr", "0.1", "--seed=3")
    invocation = Invocation(program="my train.py", typed=typed, python=".venv/bin/python")
    text = write_section(draft(invocation=invocation, options=options, gpus_per_run=2.0))
    assert tomllib.loads(text)["configs"]["folder:train"] == {
        "program": "my train.py",
        "command": "${env} ${interpreter} ${program} --track ${args}",
        "python": ".venv/bin/python",
        "metric": "val/loss",
        "goal": "minimize",
        "params": "lr,batch_size,gamma",
        "ranges": {"lr": "log:0.0001-0.01", "batch_size": "pow2:16-256", "gamma": "0.95-0.999"},
        "baseline": {"lr": 1e-3, "batch_size": 64, "gamma": 0.99},
        "seed_param": "seed",
        "workers": 2,
        "gpus_per_run": 2,
        "budget": 300,
    }
    assert '# ranges.bias = "[true|false]"' in text
    assert "one takes about 60 s, all 2 h 30 min" in text
    assert "A run trains for epochs = 20." in text


def test_what_is_not_known_is_left_to_its_user() -> None:
    calling = call_by_options({}, [ScriptOption(name="a.lr", default=0.1), ScriptOption(name="x-y", default=True)])
    text = write_section(amend(draft(sighting=None, calling=calling), "width 1-4"))
    section = tomllib.loads(text)["configs"]["folder:train"]
    assert section.keys() == {"program", "params", "ranges", "workers", "budget"}
    assert section["ranges"] == {"a.lr": "log:0.01-1.0", "width": "1.0-4.0"}
    assert "usually unknown" in text
    left_out = amend(amend(draft(sighting=None, calling=calling), "width 1-4"), "-width")
    assert "width" not in write_section(left_out)
    assert '# metric = "..."' in text
    added = amend(amend(draft(sighting=None, calling=calling), "+x-y"), "metric a\u2028\tb")
    assert tomllib.loads(write_section(added))["configs"]["folder:train"]["baseline"] == {"a.lr": 0.1, "x-y": True}


def test_a_style_stands_for_a_command() -> None:
    calling = Calling(style="hyphens", usual={"optim": "adam", "lr": 0.1}, choices={"optim": ("adam", "sgd")})
    section = tomllib.loads(write_section(amend(draft(calling=calling), "+optim")))["configs"]["folder:train"]
    assert (section["style"], section["baseline"]) == ("hyphens", {"lr": 0.1, "optim": "adam"})


@pytest.mark.parametrize(
    "parameter",
    [
        FloatParameter(name="n_steps", low=1, high=3),
        FloatParameter(name="n_steps", low=0.1, high=1),
        FloatParameter(name="n_steps", low=0.1, high=1, scale="log"),
        IntParameter(name="gamma", low=1, high=3),
        IntParameter(name="gamma", low=1, high=300, scale="log"),
        PowerOfTwoParameter(name="gamma", low=1, high=4),
        CategoricalParameter(name="gamma", choices=(True, "a", 2)),
    ],
)
def test_a_range_is_read_the_same_whatever_is_known_of_its_name(parameter: Parameter) -> None:
    assert parse_params(f"{parameter.name}:{write_range(parameter)}").parameters == (parameter,)


def test_a_new_file_and_one_that_has_the_section_already() -> None:
    new = merge_section("", draft())
    assert merge_section(new, draft()) == new
    changed = merge_section(new, amend(draft(), "-gamma"))
    assert tomllib.loads(changed)["configs"].keys() == {"folder:train"}
    assert "gamma = " not in changed.replace("# ranges.gamma = ", "").replace("ranges.gamma", "")


def test_the_rest_of_a_file_stays_as_it_is() -> None:
    mine = '# mine\nbudget = 7\n\n[modal]\ngpu = "T4"\n\n[configs."other:v1"]\nworkers = 1\n'
    own = '\n[configs."folder:train"]\nworkers = 9\n[configs."folder:train".ranges]\nlr = "1-2"\n\n'
    after = '[configs.last]\nparams = "x"\nlist = [\n  [1],\n]\n'
    merged = merge_section(mine + own + after, draft())
    assert merged.startswith(mine)
    assert tomllib.loads(merged) == {
        **tomllib.loads(mine),
        "configs": {
            **tomllib.loads(mine + after)["configs"],
            "folder:train": tomllib.loads(write_section(draft()))["configs"]["folder:train"],
        },
    }


def test_the_comment_above_the_next_table_stays() -> None:
    own, after = '[configs."folder:train"]\nworkers = 9\n\n', "# why these\n  # ranges\n[configs.last]\nworkers = 1\n"
    assert after in merge_section(own + after, draft())


@pytest.mark.parametrize(
    "text",
    [
        '[configs]\n"folder:train" = { workers = 1 }\nother = { workers = 1 }',
        'list = """\n[x]\n"""\n[configs]\n"folder:train".workers = 1\nother.workers = 1',
        "a = ",
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_left_alone(text: str) -> None:
    with pytest.raises(UsageError):
        merge_section(text, draft())


def test_the_section_is_one_of_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    assert "folder:train" in tomllib.loads(merge_section("", draft()))["configs"]
