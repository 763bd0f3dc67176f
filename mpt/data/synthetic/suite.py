"""The embedded suite: which skill each task shows, in which style, with which label words of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mpt.data.synthetic import skills
from mpt.data.tasks.task import Task
from mpt.util.stable_random import StableRandom

Pair = tuple[str, str]


@dataclass(frozen=True)
class TaskRecipe:
    """A task and how one (input, target) of it is made; ``make`` gets the label wanted ("" if free text)."""

    task: Task
    make: Callable[[StableRandom, str], Pair]


def _sort(name: str, attribute: str, labels: str, style: str, metric: str = "ACC") -> TaskRecipe:
    """``labels``: "value=label ..."; two values may share a label."""
    values = dict(pair.split("=") for pair in labels.split())
    by_label: dict[str, list[str]] = {}
    for value, label in values.items():
        by_label.setdefault(label, []).append(value)

    def make(rng: StableRandom, label: str) -> Pair:
        return skills.styled(skills.sort(rng, attribute, rng.pick(by_label[label])), style, attribute), label

    return TaskRecipe(Task(name, "classification", metric, tuple(by_label)), make)


def _same(name: str, yes: str, no: str, style: str, metric: str = "ACC", change: str | None = None) -> TaskRecipe:
    def make(rng: StableRandom, label: str) -> Pair:
        first, second = skills.compare(rng, label == yes, change)
        return skills.styled(f"{first} | {second}", style, "same"), label

    return TaskRecipe(Task(name, "paraphrase", metric, (yes, no)), make)


def _judge(name: str, yes: str, no: str, style: str, metric: str, fault: str | None = None) -> TaskRecipe:
    def make(rng: StableRandom, label: str) -> Pair:
        return skills.styled(skills.judge(rng, label == yes, fault), style, "judge"), label

    return TaskRecipe(Task(name, "other", metric, (yes, no)), make)


def _free(
    name: str, type: str, metric: str, make: Callable[[StableRandom], Pair], style: str = "", field: str = ""
) -> TaskRecipe:
    def styled(rng: StableRandom, label: str) -> Pair:
        text, answer = make(rng)
        return skills.styled(text, style, field), answer

    return TaskRecipe(Task(name, type, metric), styled)


def _find(name: str, part: str, style: str) -> TaskRecipe:
    """Two sentences with a word of the class each; the second one's is wanted."""

    def make(rng: StableRandom) -> Pair:
        first, _ = skills.find(rng, part)
        second, answer = skills.find(rng, part)
        return f"{first} {second}", answer

    return _free(name, "qa", "EM", make, style, f"which {part}")


def _read(name: str, asked: str, style: str, metric: str = "EM", facts: int = 2) -> TaskRecipe:
    def make(rng: StableRandom) -> Pair:
        question, passage, answer = skills.read(rng, asked, facts)
        return f"{question} {passage}", answer

    return _free(name, "qa", metric, make, style)


def _choose(name: str, value: str, attribute: str, style: str, options: int = 3) -> TaskRecipe:
    def make(rng: StableRandom) -> Pair:
        words, answer = skills.choose(rng, value, options, attribute)
        return skills.options_text(words), answer

    return _free(name, "qa", "ACC", make, style, value)


def _rewrite(name: str, rule: str, style: str) -> TaskRecipe:
    return _free(name, "generation", "Rouge-L", lambda rng: skills.rewrite(rng, rule), style, rule)


# attribute value = label word
_SENTIMENT = "good=positive bad=negative"
_SIZE = "big=major small=minor"
_COLOUR = "red=mars blue=neptune green=venus yellow=saturn"
_AGE = "old=autumn new=spring"
_HEAT = "hot=plus cold=minus"
_AGENT = "person=public animal=oak machine=iron"
_TOPIC = "food=health tool=science clothes=finance furniture=travel toy=sport"
_ACTION = "make=win harm=loss trade=keep"
_TENSE = "past=left present=up future=right"
_PLACE = "city=east nature=north house=south water=west"
_HOUR = "morning=bronze noon=silver night=gold"

_RECIPES = (
    # classification: several data sets share an attribute and its label words, as CrossFit's do
    _sort("syn-sentiment-review", "sentiment", _SENTIMENT, "review"),
    _sort("syn-sentiment-tweet", "sentiment", _SENTIMENT, "tweet"),
    _sort("syn-sentiment-letter", "sentiment", _SENTIMENT, "letter", "Classification-F1"),
    _sort("syn-size-caption", "size", _SIZE, "caption"),
    _sort("syn-size-ad", "size", _SIZE, "ad"),
    _sort("syn-colour-note", "colour", _COLOUR, "note"),
    _sort("syn-colour-poem", "colour", _COLOUR, "poem", "Classification-F1"),
    _sort("syn-age-blog", "age", _AGE, "blog"),
    _sort("syn-age-post", "age", _AGE, "post"),
    _sort("syn-heat-report", "heat", _HEAT, "report"),
    _sort("syn-heat-diary", "heat", _HEAT, "diary"),
    _sort("syn-agent-news", "agent", _AGENT, "news"),
    _sort("syn-agent-story", "agent", _AGENT, "story", "Classification-F1"),
    _sort("syn-topic-news", "thing", _TOPIC, "news"),
    _sort("syn-topic-ad", "thing", _TOPIC, "ad"),
    _sort("syn-action-log", "action", _ACTION, "log"),
    _sort("syn-action-diary", "action", _ACTION, "diary"),
    _sort("syn-tense-report", "tense", _TENSE, "report"),
    _sort("syn-tense-script", "tense", _TENSE, "script"),
    _sort("syn-place-letter", "place", _PLACE, "letter"),
    _sort("syn-place-memo", "place", _PLACE, "memo", "Classification-F1"),
    _sort("syn-hour-log", "hour", _HOUR, "log"),
    _sort("syn-gender-story", "gender", "female=opera male=jazz", "story"),
    _sort("syn-certainty-post", "certainty", "sure=safe unsure=unsafe", "post"),
    _sort("syn-manner-memo", "manner", "fast=rock slow=paper loud=scissors quiet=star", "memo"),
    # paraphrase identification
    _same("syn-paraphrase-news", "same", "other", "news"),
    _same("syn-paraphrase-post", "same", "other", "post", "Classification-F1"),
    _same("syn-paraphrase-swap", "same", "other", "story", change="swap"),
    _same("syn-paraphrase-denial", "same", "other", "report", change="denial"),
    _same("syn-paraphrase-thing", "same", "other", "ad", change="thing"),
    # question answering: extraction
    _find("syn-find-place", "place", "story"),
    _find("syn-find-agent", "agent", "report"),
    _find("syn-find-thing", "thing", "ad"),
    _find("syn-find-colour", "colour", "caption"),
    _find("syn-find-hour", "hour", "diary"),
    _find("syn-find-action", "action", "log"),
    _find("syn-find-manner", "manner", "memo"),
    # question answering: a question about a passage
    _read("syn-read-where", "where", "story"),
    _read("syn-read-what", "what", "news"),
    _read("syn-read-who", "who", "letter"),
    _read("syn-read-how", "how", "script"),
    _read("syn-read-which", "which", "blog", "QA-F1"),
    _read("syn-read-where-three", "where", "report", facts=3),
    # question answering: multiple choice
    _choose("syn-choose-animal", "animal", "agent", "note"),
    _choose("syn-choose-food", "food", "thing", "ad", 4),
    _choose("syn-choose-clothes", "clothes", "thing", "blog"),
    _choose("syn-choose-nature", "nature", "place", "letter"),
    _choose("syn-choose-good", "good", "sentiment", "review"),
    _choose("syn-choose-harm", "harm", "action", "report", 4),
    # question answering: closed book
    _free("syn-know-kind", "qa", "EM", lambda d: skills.know(d, "kind", 2), "note", "kind"),
    _free("syn-know-twin", "qa", "EM", lambda d: skills.know(d, "twin", 2), "poem", "twin"),
    _free("syn-know-opposite", "qa", "EM", lambda d: skills.know(d, "opposite", 2), "quote", "opposite"),
    # generation
    _rewrite("syn-rewrite-past", "past", "diary"),
    _rewrite("syn-rewrite-future", "future", "speech"),
    _rewrite("syn-rewrite-deny", "deny", "post"),
    _rewrite("syn-rewrite-short", "short", "news"),
    _rewrite("syn-rewrite-front", "front", "letter"),
    _rewrite("syn-rewrite-twin", "twin", "poem"),
    # other: acceptability, counting, lists, word forms
    _judge("syn-judge-agreement", "normal", "strange", "note", "ACC", "agreement"),
    _judge("syn-judge-order", "on", "off", "speech", "Matthew-Correlation", "order"),
    _free("syn-number-animal", "other", "Pearson-Correlation", lambda d: skills.count(d, "animal"), "log", "animal"),
    _free("syn-list-first", "other", "EM", lambda d: skills.listed(d, "first"), "script", "first"),
    _free("syn-list-last", "other", "EM", lambda d: skills.listed(d, "last"), "note", "last"),
    _free("syn-list-reverse", "other", "Rouge-L", lambda d: skills.listed(d, "reverse"), "memo", "reverse"),
    _free("syn-form-many", "other", "EM", lambda d: skills.know(d, "many", 2), "caption", "many"),
    _free("syn-form-past", "other", "EM", lambda d: skills.know(d, "past", 2), "tweet", "past"),
)

RECIPES: dict[str, TaskRecipe] = {r.task.name: r for r in _RECIPES}
