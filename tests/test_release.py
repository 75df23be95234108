"""What has to agree in a release: versions, Pythons, the changelog and the citation."""

import re
import tomllib

import yaml

import iterdeploy
from helpers.support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_citation_agrees_with_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["license"]) == (iterdeploy.__version__, PROJECT["license"])
    assert citation["title"] == PROJECT["name"] and citation["authors"] == PROJECT["authors"]
    assert citation["keywords"] == PROJECT["keywords"]


def test_the_classifiers_are_the_pythons_that_it_installs_on() -> None:
    least, below = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    named = re.findall(r":: Python :: 3\.(\d+)", "\n".join(PROJECT["classifiers"]))
    assert [int(minor) for minor in named] == list(range(int(least), int(below)))


def test_the_changelog_begins_with_what_is_not_released_or_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert headings[0] in ("Unreleased", iterdeploy.__version__) and iterdeploy.__version__ in headings
