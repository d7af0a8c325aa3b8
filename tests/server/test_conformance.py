"""Conformance cases 1 to 14: generation and sampling, through the application."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from tiny import tiny_engine

from lockstitch import Engine
from lockstitch.engine import processors
from lockstitch.engine.async_engine import AsyncEngine
from lockstitch.engine.stopping import StopStrings
from lockstitch.engine.watermark import green_list

LONG = "the quick brown fox jumps over the lazy dog"
OPTIONS: list[dict[str, Any]] = [
    {},
    {"do_sample": True, "seed": 1},
    {"repetition_penalty": 1.4},
    {"frequency_penalty": 1.5, "top_k": 9, "seed": 2},
    {"grammar": {"type": "regex", "value": "[a-f]{6}-[0-9]{6}"}},
    {"grammar": {"type": "regex", "value": "(yes|no)+"}, "temperature": 2.0, "seed": 3},
    {"watermark": True, "typical_p": 0.8, "seed": 4},
]


def ids(answer: Any) -> list[int]:
    return [token["id"] for token in answer["details"]["tokens"]]


def test_case_01_prompt_details(api: Any, tiny: Engine) -> None:
    details = api.generate(LONG, max_new_tokens=10, decoder_input_details=True)["details"]
    assert details["generated_tokens"] == 10
    assert details["finish_reason"] == "length"
    assert details["seed"] is None
    first, *others = details["prefill"]
    assert first["logprob"] is None
    assert all(token["logprob"] <= 0 for token in others)
    assert [t["id"] for t in details["prefill"]] == tiny.tokenizer(LONG)["input_ids"]


def test_case_02_all_parameters(api: Any, tiny: Engine) -> None:
    found = api.generate(
        LONG,
        max_new_tokens=10,
        repetition_penalty=1.2,
        return_full_text=True,
        stop=["test"],
        temperature=0.5,
        top_p=0.9,
        top_k=10,
        truncate=5,
        typical_p=0.9,
        watermark=True,
        decoder_input_details=True,
        seed=0,
    )
    details = found["details"]
    assert details["generated_tokens"] <= 10
    assert details["seed"] == 0
    assert found["generated_text"].startswith(LONG)
    assert [t["id"] for t in details["prefill"]] == tiny.tokenizer(LONG)["input_ids"][-5:]


def test_case_03_parallel_requests_are_as_alone(api: Any) -> None:
    alone = [api.generate(LONG, **values) for values in OPTIONS]
    with ThreadPoolExecutor(14) as pool:
        same = list(pool.map(lambda _: api.generate(LONG), range(4)))
        mixed = list(pool.map(lambda values: api.generate(LONG, **values), OPTIONS * 2))
    assert same == [alone[0]] * 4
    for found, expected in zip(mixed, alone * 2, strict=True):
        assert ids(found) == ids(expected)
        assert found["generated_text"] == expected["generated_text"]


def test_case_04_a_seed_repeats(api: Any) -> None:
    first, second = (api.generate(top_p=0.9, seed=0) for _ in range(2))
    assert first == second
    assert ids(first) != ids(api.generate(top_p=0.9, seed=1))


def test_case_05_best_of(api: Any) -> None:
    details = api.generate(best_of=2, do_sample=True)["details"]
    (other,) = details["best_of_sequences"]
    assert details["seed"] is not None
    assert other["seed"] not in (None, details["seed"])
    winner, loser = (fmean(t["logprob"] for t in run["tokens"]) for run in (details, other))
    assert winner >= loser


def test_case_06_stop_strings_anywhere(api: Any) -> None:
    found = api.generate(max_new_tokens=40)
    text, tokens = found["generated_text"], found["details"]["tokens"]
    inside = next(t["text"] for t in tokens if len(t["text"]) > 2)[:-1]
    across = tokens[5]["text"] + tokens[6]["text"]
    for stop in (inside, across, text[7:10], text[15:20], text[3]):
        cut = api.generate(max_new_tokens=40, stop=["never seen", stop])
        assert cut["generated_text"] == text[: text.index(stop) + len(stop)]
        assert cut["details"]["finish_reason"] == "stop_sequence"


@pytest.mark.parametrize(
    ("pattern", "stop"),
    [(r"ab<\|stop\|>cd", "<|stop|>"), ("(xy){200}z", "xy" * 160), (r"a\.\*b[c]d", ".*b")],
)
def test_case_06_stop_strings_of_all_kinds(api: Any, pattern: str, stop: str) -> None:
    grammar = {"type": "regex", "value": pattern}
    found = api.generate(grammar=grammar, stop=[stop], max_new_tokens=600)
    assert found["generated_text"].endswith(stop)
    assert found["generated_text"].count(stop[:5]) == (1 if len(stop) < 99 else 0 + stop.count(stop[:5]))
    assert found["details"]["finish_reason"] == "stop_sequence"


@pytest.mark.parametrize(
    ("text", "reason", "kept"),
    [
        ("/test; on", "stop_sequence", "/test;"),
        ("/test", "eos_token", "/test"),
        ("/tes;t", "eos_token", "/tes;t"),
    ],
)
def test_case_07_stop_units(api: Any, text: str, reason: str, kept: str) -> None:
    found = api.generate(grammar={"type": "regex", "value": text}, stop=["/test;"])
    assert found["details"]["finish_reason"] == reason
    assert found["generated_text"] == kept


def test_case_07_stop_strings_by_pieces() -> None:
    watched = StopStrings(["/test;"])
    assert [watched.feed(piece) for piece in ("/te", "st", ";")] == [None, None, 0]
    assert StopStrings(["/test;"]).feed("/test; ") == 1


@pytest.mark.parametrize(
    ("values", "reason", "count"),
    [
        ({"max_new_tokens": 5}, "length", 5),
        ({"grammar": {"type": "regex", "value": "5"}, "max_new_tokens": 9}, "eos_token", 2),
        ({"grammar": {"type": "regex", "value": "5"}, "max_new_tokens": 2}, "length", 2),
        (
            {"grammar": {"type": "regex", "value": "55"}, "max_new_tokens": 1, "stop": ["5"]},
            "length",
            1,
        ),
    ],
)
def test_case_08_reasons_to_stop(api: Any, values: dict[str, Any], reason: str, count: int) -> None:
    details = api.generate(**values)["details"]
    assert details["finish_reason"] == reason
    assert details["generated_tokens"] == count


def test_case_09_top_tokens_under_a_grammar(api: Any) -> None:
    grammar = {"type": "regex", "value": "[xy]z"}
    details = api.generate(grammar=grammar, top_n_tokens=5)["details"]
    first, second, end = details["top_tokens"]
    assert {token["text"] for token in first} == {"x", "y"}
    assert [token["text"] for token in second] == ["z"]
    assert end[0]["special"]
    for top in details["top_tokens"]:
        logprobs = [token["logprob"] for token in top]
        assert None not in logprobs
        assert logprobs == sorted(logprobs, reverse=True)


def test_case_10_the_pipeline_in_its_order() -> None:
    z = torch.tensor([[2.0, -1.0, 0.5, 1.5, -3.0, 0.0]])
    kept = torch.isfinite(processors.top_p(z.clone(), 0.5))
    assert kept.tolist() == [[True, False, False, True, False, False]]
    assert green_list(0, 10).tolist() == [4, 1, 7, 5, 3]


@pytest.mark.parametrize(
    ("values", "sampling"),
    [
        ({"temperature": 0.7}, True),
        ({"top_k": 5}, True),
        ({"top_p": 0.9}, True),
        ({"typical_p": 0.9}, True),
        ({"temperature": 1.0}, False),
        ({"repetition_penalty": 1.3, "frequency_penalty": 1.0, "watermark": True}, False),
        ({"seed": 5}, False),
    ],
)
def test_case_11_what_turns_sampling_on(
    api: Any, values: dict[str, Any], sampling: bool
) -> None:
    assert (api.generate(**values)["details"]["seed"] is not None) == sampling


@pytest.fixture(scope="module")
def small_api(open_api: Any) -> Any:
    with open_api(AsyncEngine(tiny_engine(context=48))) as found:
        yield found


def test_case_12_absent_parameters_sample(small_api: Any) -> None:
    def texts(body: dict[str, Any]) -> set[str]:
        return {small_api.post("/generate", body)["generated_text"] for _ in range(4)}

    assert len(texts({"inputs": LONG})) > 1
    assert len(texts({"inputs": LONG, "parameters": None})) > 1
    assert len(texts({"inputs": LONG, "parameters": {}})) == 1


def test_case_13_logprobs_agree(api: Any) -> None:
    values = {"do_sample": True, "seed": 3, "top_n_tokens": 5, "temperature": 0.2, "top_k": 4}
    details = api.generate(**values)["details"]
    for token, top in zip(details["tokens"], details["top_tokens"], strict=True):
        mass = torch.logsumexp(torch.tensor([t["logprob"] for t in top]), 0)
        assert mass == pytest.approx(0.0, abs=1e-5)
        assert token in top
    forced = api.generate(grammar={"type": "regex", "value": "5"})["details"]["tokens"]
    assert [token["logprob"] for token in forced] == [0.0, 0.0]


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The tiny model with an adapter that is far from doing nothing."""
    peft: Any = pytest.importorskip("peft", reason="adapters need the extra lora")
    folder: Path = tmp_path_factory.mktemp("adapters") / "loud"
    config = peft.LoraConfig(
        r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(tiny_engine().model, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data *= 8
    model.save_pretrained(folder)
    return tiny_engine(adapters={"loud": folder})


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_case_14_adapters(adapted: Engine, api: Any, open_api: Any) -> None:
    with open_api(AsyncEngine(adapted)) as found, ThreadPoolExecutor(6) as pool:
        names = ["loud", None, "", "loud", None, "loud"]
        answers = list(pool.map(lambda name: found.generate(adapter_id=name), names))
        assert "not loaded" in found.refused(adapter_id="quiet")
        listed = [model["id"] for model in found.client.get("/v1/models").json()["data"]]
    plain = api.generate()
    for name, answer in zip(names, answers, strict=True):
        assert (ids(answer) == ids(plain)) == (not name)
    assert ids(answers[0]) == ids(answers[3]) == ids(answers[5])
    assert listed[1:] == ["loud"]
