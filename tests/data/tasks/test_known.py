"""The catalogue of CrossFit's tasks."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from mpt.data.tasks.known import catalogue
from mpt.metrics.crossfit import METRICS
from mpt.util.names import nearest

# SHA-256 of the 160 names, sorted and joined by line feeds: so that the names are checked without CrossFit's
# files.
NAMES = "cc2c433afc7c6267dfde98fb9c7609299ef7dd1c33857f91fe6e6d05ad55393f"

# CrossFit's table of metrics (dataloader/metrics.py), by metric; all tasks not named here are scored by ACC.
METRIC_OF = {
    "EM": """acronym_identification ade_corpus_v2-dosage ade_corpus_v2-effect aslg_pc12 break-QDMR break-QDMR-high-level
        crawl_domain freebase_qa jeopardy kilt_ay2 kilt_hotpotqa kilt_nq kilt_trex kilt_zsre lama-conceptnet
        lama-google_re lama-squad lama-trex limit numer_sense proto_qa qa_srl search_qa spider squad-no_context
        superglue-multirc web_questions wikisql""",
    "QA-F1": """adversarialqa biomrc duorc hotpot_qa quoref ropes squad-with_context superglue-record tweet_qa""",
    "Rouge-L": """aeslc common_gen cos_e e2e_nlg_cleaned eli5-askh eli5-asks eli5-eli5 empathetic_dialogues gigaword
        kilt_wow multi_news reddit_tifu-title reddit_tifu-tldr samsum wiki_bio wiki_split xsum""",
    "Pearson-Correlation": "app_reviews mocha yelp_review_full",
    "Matthew-Correlation": "glue-cola",
    "Classification-F1": """ade_corpus_v2-classification ag_news amazon_polarity anli circa climate_fever codah
        dbpedia_14 discovery emo emotion ethos-directed_vs_generalized ethos-disability ethos-gender
        ethos-national_origin ethos-race ethos-religion ethos-sexual_orientation
        financial_phrasebank hate_speech18 hate_speech_offensive
        hatexplain health_fact imdb liar onestop_english paws poem_sentiment rotten_tomatoes scicite scitail sick
        sms_spam tab_fact trec trec-finegrained tweet_eval-emoji tweet_eval-emotion tweet_eval-hate tweet_eval-irony
        tweet_eval-offensive tweet_eval-sentiment tweet_eval-stance_abortion tweet_eval-stance_atheism
        tweet_eval-stance_climate tweet_eval-stance_feminist tweet_eval-stance_hillary wiki_auto wiki_qa
        yahoo_answers_topics yelp_polarity""",
}


def test_every_metric_is_crossfits():
    stated = {name: metric for metric, names in METRIC_OF.items() for name in names.split()}
    crossfit = catalogue("crossfit")
    assert stated.keys() <= set(crossfit)
    assert {name: task.metric for name, task in crossfit.items()} == {
        name: stated.get(name, "ACC") for name in crossfit
    }


def test_the_catalogue_holds_crossfits_160_tasks():
    crossfit = catalogue("crossfit")
    assert len(crossfit) == 160
    assert hashlib.sha256("\n".join(sorted(crossfit)).encode()).hexdigest() == NAMES
    assert {task.suite for task in crossfit.values()} == {"crossfit"}


def test_the_catalogue_holds_spots_data_sets_beside_them():
    crossfit, spot = catalogue("crossfit"), catalogue("spot")
    assert not set(crossfit) & set(spot) and list(catalogue()) == [
        *crossfit,
        *spot,
        *catalogue("mrqa"),
        *catalogue("xgen"),
    ]
    assert {task.suite for task in spot.values()} == {"spot"} and catalogue()["snli"].suite == "spot"
    assert len(catalogue("mrqa")) == 6 and {task.metric for task in catalogue("mrqa").values()} == {"QA-F1"}


def test_the_catalogue_holds_wikilingua_in_eighteen_languages():
    tasks = catalogue("xgen")
    languages = [
        "ar",
        "cs",
        "de",
        "en",
        "es",
        "fr",
        "hi",
        "id",
        "it",
        "ja",
        "ko",
        "nl",
        "pt",
        "ru",
        "th",
        "tr",
        "vi",
        "zh",
    ]
    assert [name.removeprefix("wikilingua-") for name in tasks] == languages
    assert {task.metric for task in tasks.values()} == {"SP-ROUGE"}
    assert [task.recipe.source.config for task in tasks.values()] == languages


def test_types_and_metrics_are_known_ones():
    crossfit = catalogue("crossfit").values()
    assert {entry.metric for entry in crossfit} == set(METRICS)
    assert Counter(entry.type for entry in crossfit) == {
        "classification": 65, "qa": 51, "generation": 13, "other": 31,
    }  # fmt: skip


def test_some_facts():
    assert catalogue()["glue-cola"].metric == "Matthew-Correlation"
    assert catalogue()["superglue-cb"].metric == "ACC"
    assert catalogue()["samsum"].type == "generation"
    assert catalogue()["boolq"].by_label and not catalogue()["kilt_fever"].by_label


@pytest.mark.skipif("MPT_CROSSFIT" not in os.environ, reason="MPT_CROSSFIT names no CrossFit folder")
def test_names_and_way_of_sampling_agree_with_crossfits_published_sums():
    sums = json.loads(Path(os.environ["MPT_CROSSFIT"], "md5.json").read_text(encoding="utf-8"))
    assert set(catalogue("crossfit")) == set(sums)
    for task, entry in catalogue("crossfit").items():
        k = 16 if entry.by_label else 32
        assert all(name.startswith(f"{task}_{k}_") for name in sums[task]), task


def test_a_wrong_name_is_answered_with_the_nearest():
    assert nearest("superglue_cb", catalogue()).startswith("did you mean superglue-cb")
    assert "152 more" in nearest("zzzzzz", catalogue("crossfit"))
    assert nearest("x", []) == "there is none."
