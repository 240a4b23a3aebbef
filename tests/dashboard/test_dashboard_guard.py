"""Who may ask the dashboard, and who may change something through it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streamsched.cli.run import dashboard as cli_dashboard
from streamsched.console.terminal import UsageProblem, address_of
from streamsched.contract.keys import Keys
from streamsched.server.embedded import EmbeddedServer

from ..support.dashboard import OPERATOR, TOKEN, Dashboard, dashboard
from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shown(servers: dict[str, EmbeddedServer], keys: Keys) -> AsyncIterator[Dashboard]:
    async with dashboard(servers["valkey"], keys) as one:
        yield one


HERE = "http://127.0.0.1"
FROM: dict[str, tuple[dict[str, str], bool]] = {
    "a program without any of it": ({}, True),
    "the page itself": ({"origin": "{here}", "sec-fetch-site": "same-origin"}, True),
    "typed into the address bar": ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, True),
    "another site": ({"origin": "https://evil.example"}, False),
    "another site, without Origin": ({"sec-fetch-site": "cross-site"}, False),
    "another port of this machine": ({"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site"}, False),
    "a sandboxed frame": ({"origin": "null"}, False),
    "a rebound name": ({"host": "evil.example"}, False),
    "a rebound name with its port": ({"host": "evil.example:8321"}, False),
    "a name that only begins like ours": ({"host": "localhost.evil.example"}, False),
    "no name": ({"host": ""}, False),
    "our other name": ({"host": "localhost"}, True),
    "our name in capitals": ({"host": "LOCALHOST:80"}, True),
}


@pytest.mark.parametrize("who", FROM)
async def test_only_the_page_itself_is_answered_whichever_headers_a_browser_sends(who: str, shown: Dashboard) -> None:
    given, welcome = FROM[who]
    here = str(shown.client.base_url).rstrip("/")
    headers = {name: value.replace("{here}", here) for name, value in given.items()}
    for path in ("/api/who", "/api/timeline"):
        answer = await shown.client.get(path, headers=headers)
        assert (answer.status_code == 200) is welcome, (path, answer.text)
    posted = await shown.client.post("/api/act", json={"action": "cordon"}, headers={**headers, **OPERATOR})
    assert (posted.status_code == 400) is welcome, posted.text
    assert "access-control-allow-origin" not in posted.headers


async def test_a_link_on_another_site_opens_the_page_but_no_data(shown: Dashboard) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert (await shown.client.get("/", headers=link)).status_code == 200
    assert (await shown.client.get("/api/who", headers=link)).status_code == 403


async def test_every_answer_forbids_what_a_page_does_not_need(shown: Dashboard) -> None:
    for path in ("/", "/page/main.js", "/api/who", "/nothing"):
        headers = (await shown.client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


TOKENS: dict[str, tuple[dict[str, str], int]] = {
    "none": ({}, 401),
    "wrong": ({"authorization": "Bearer " + "x" * len(TOKEN)}, 401),
    "its beginning": ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
    "another scheme": ({"authorization": f"Basic {TOKEN}"}, 401),
    "in the query only": ({}, 401),
    "the token": (OPERATOR, 200),
}


@pytest.mark.parametrize("given", TOKENS)
async def test_an_action_needs_the_token_in_its_header(given: str, shown: Dashboard, log: Ledger) -> None:
    await log.node()
    headers, status = TOKENS[given]
    answer = await shown.client.post(
        "/api/act", params={"token": TOKEN}, json={"action": "cordon", "id": "n1", "reason": "hot"}, headers=headers
    )
    assert answer.status_code == status, answer.text
    assert (await log.info())["cordoned"] == ("true" if status == 200 else "false")


async def test_without_a_token_nothing_can_be_changed(servers: dict[str, EmbeddedServer], keys: Keys) -> None:
    async with dashboard(servers["valkey"], keys, token=None) as shown:
        assert (await shown.get("who"))["operators"] is False
        refused = await shown.act(403, action="cordon", id="n1")
        assert refused["code"] == "READ_ONLY"


BIND: dict[str, tuple[str, tuple[str, ...], str]] = {
    "no port": ("127.0.0.1", (), "--bind"),
    "a port that is none": ("127.0.0.1:http", (), "--bind"),
    "a port that is too high": ("127.0.0.1:70000", (), "--bind"),
    "everywhere, under no name": ("0.0.0.0:8321", (), "--host-name"),
    "everywhere, left out": (":8321", (), "--host-name"),
}


@pytest.mark.parametrize("case", BIND)
def test_an_address_that_will_not_do_is_refused_with_the_option_that_mends_it(case: str) -> None:
    bind, names, option = BIND[case]
    with pytest.raises(UsageProblem, match=option):
        cli_dashboard.names_of(address_of("--bind", bind)[0], names)


def test_a_dashboard_answers_under_its_address_and_the_names_it_was_given() -> None:
    assert cli_dashboard.names_of("0.0.0.0", ("Fleet.example",)) >= {"fleet.example", "localhost"}
    assert "10.0.0.5" in cli_dashboard.names_of("10.0.0.5", ())


@pytest.mark.parametrize("content", ["short", "", "with a blank in it", "not-ascii-ä-not-ascii", None])
def test_a_token_that_could_be_guessed_or_sent_by_no_header_is_refused(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageProblem, match="--token-file"):
        cli_dashboard.token_of(file)


def test_a_token_comes_from_its_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cli_dashboard.TOKEN_ENV, raising=False)
    assert cli_dashboard.token_of(None) is None
    monkeypatch.setenv(cli_dashboard.TOKEN_ENV, TOKEN)
    assert cli_dashboard.token_of(None) == TOKEN
    file = tmp_path / "token"
    file.write_text(TOKEN[::-1] + "\n")
    assert cli_dashboard.token_of(file) == TOKEN[::-1]


def test_a_port_that_is_taken_is_named(cli: Cli, servers: dict[str, Any]) -> None:
    taken = cli.run("dashboard", "--bind", f"127.0.0.1:{servers['valkey'].port}")
    assert taken.code == 2
    assert "give another address" in taken.err
