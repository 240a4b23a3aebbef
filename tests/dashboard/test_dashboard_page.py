"""The dashboard in a browser, as a user sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from redis import Redis

from streamsched.contract.keys import Keys
from streamsched.dashboard.routes import PAGE
from streamsched.server.embedded import EmbeddedServer, free_port

from ..support.chromium import SCREENSHOTS, chromium
from ..support.processes import Cli, eventually
from ..support.servers.aof import SYNCED

TOKEN = "open-sesame-open-sesame"
POOLS = ("en-zh", "de-en", "en-fr")
HOSTILE = "<img src=x onerror=window.harmed=1>"

expect.set_options(timeout=15_000)


class World:
    """A server, a worker and a dashboard, each a process of its own, and a fleet that a test may add to."""

    def __init__(self, cli: Cli, server: EmbeddedServer, port: int) -> None:
        self.cli, self.server, self.port = cli, server, port
        self.redis: Any = Redis(port=server.port, decode_responses=True, protocol=2)
        self.worker = cli.start("worker")
        self.serve()

    def serve(self) -> None:
        bind = f"127.0.0.1:{self.port}"
        self.dashboard = self.cli.start("dashboard", "--bind", bind, STREAMSCHED_DASHBOARD_TOKEN=TOKEN)
        eventually(lambda: "dashboard" in self.cli.output(self.dashboard))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def add(self, stream: str = "events", **fields: str) -> str:
        """Append an event as any producer does, and wait until it is folded."""
        event = str(self.redis.xadd(self.cli.keys(stream), fields))
        if stream == "events":
            eventually(lambda: self.watermark() >= tuple(map(int, event.split("-"))))
        return event

    def watermark(self) -> tuple[int, ...]:
        outcome = self.redis.hget(self.cli.keys("meta"), "watermark") or "0-0"
        return tuple(map(int, outcome.split("-")))

    def node(self, name: str, *pools: str) -> None:
        listed = json.dumps([{"id": POOLS.index(pool) + 1, "name": pool} for pool in pools])
        self.add(type="node.registered", node_id=name, cap_json="{}", pool_names_json=listed)
        self.add("heartbeats", type="node.heartbeat", node_id=name, online="true")
        eventually(lambda: self.redis.hget(self.cli.keys.node_info(name), "online") == "true")

    def submit(self, job: str, src: str = "en", tgt: str = "zh", session: str = "s1") -> str:
        return self.add(type="job.submitted", job_id=job, session_id=session, src_lang=src, tgt_lang=tgt,
                        payload_json="{}", deliver="false")  # fmt: skip

    def finish(self, job: str) -> None:
        held = self.redis.hgetall(self.cli.keys.job(job))
        self.add(type="job.completed", job_id=job, node_id=held["node_id"], attempt=held["attempt"], status="finished")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def world(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("dashboard")
    with EmbeddedServer(data=folder / "data", append_only=True, options=SYNCED) as server:
        cli = Cli(server.url, Keys(), folder)
        try:
            world = World(cli, server, free_port())
            world.add(type="scheduler.configured", heartbeat_timeout_ms="3600000")
            for n in range(12):
                world.node(f"node-{n:02d}", POOLS[n % 3])
            whole = world.watermark()[0]
            eventually(lambda: int(world.add(type="session.released", session_id="-").split("-")[0]) > whole + 5)
            world.add(type="node.offline", node_id="node-03", reason="power cut")
            for n in range(6):
                world.submit(f"first-{n}", session=f"s{n % 2}")
            for n in range(3):
                world.finish(f"first-{n}")
            world.add(type="job.completed", job_id="nobody", node_id="node-01", status="finished")
            world.submit("stuck", "sv", "fi")
            yield world
        finally:
            cli.end()


def opened(browser: Browser, world: World, **given: Any) -> Page:
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}, "locale": "en-GB", **given})
    page = context.new_page()
    page.on("pageerror", lambda problem: page.evaluate("text => (window.errors ??= []).push(text)", str(problem)))
    page.goto(world.url)
    expect(page.locator("#condition")).to_have_text(re.compile("Live|实时"))
    expect(page.locator("#log li").first).to_be_visible()
    return page


@pytest.fixture
def page(browser: Browser, world: World, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An open page, of which a picture is kept; no script of it may have failed."""
    page = opened(browser, world)
    yield page
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{request.node.name}.png")
    errors = page.evaluate("window.errors ?? []")
    page.context.close()
    assert errors == []


def figure(page: Page, name: str) -> Any:
    return page.locator(f"#figure-{name} b")


def go_to(page: Page, ms: int) -> None:
    """Drag the slider to a time."""
    page.locator("#slider").evaluate(
        "(slider, ms) => { slider.value = ms; slider.dispatchEvent(new Event('input'));"
        " slider.dispatchEvent(new Event('change')); }",
        ms,
    )


def sign_in(page: Page, token: str = TOKEN) -> None:
    page.get_by_role("button", name="Operator…").last.click()
    page.locator("dialog input").fill(token)
    page.keyboard.press("Enter")


def test_the_page_shows_the_fleet_its_languages_and_its_log(page: Page, world: World) -> None:
    expect(page.locator("#health")).to_contain_text(re.compile(r"Open\s*11.*Offline\s*1"))
    expect(page.locator("#grid .group h3 span:first-child")).to_have_text(sorted(POOLS))
    unserved = page.locator("#pairs tr.waits")
    expect(unserved).to_have_count(1)
    expect(unserved).to_contain_text("no pool")
    expect(page.locator("#letters li")).to_contain_text("UNKNOWN_JOB")
    expect(page.locator("#log li").first).to_contain_text("job.submitted")
    page.locator("#as-list").click()
    expect(page.locator("#node-list tbody tr")).to_have_count(12)
    page.locator("#node-find").fill("node-03")
    expect(page.locator("#node-list tbody tr")).to_have_count(1)
    page.locator("#as-pools").click()
    expect(page.locator("#pairs tbody tr")).to_have_count(3)


def test_what_happens_is_seen_without_a_reload(page: Page, world: World) -> None:
    before = int(figure(page, "held").inner_text())
    world.submit("seen-1", "de", "en")
    expect(figure(page, "held")).to_have_text(str(before + 1))
    expect(page.locator("#log li").first).to_contain_text("seen-1")
    world.finish("seen-1")
    expect(figure(page, "held")).to_have_text(str(before))


def test_a_filter_finds_what_is_no_longer_in_sight_and_hold_keeps_it_still(page: Page, world: World) -> None:
    page.locator("#log-filter").fill("power cut")
    expect(page.locator("#log li")).to_have_count(1)
    expect(page.locator("#log li")).to_contain_text("node-03")
    page.locator("#log-filter").fill("there is no such thing")
    expect(page.locator("#log-note")).to_contain_text("whole history")
    page.locator("#log-filter").fill("")
    page.locator("#log-hold").click()
    world.submit("held-1", "sv", "fi")
    expect(page.locator("#log-note")).to_contain_text("1 newer")
    expect(page.locator("#log li").first).not_to_contain_text("held-1")


def test_the_slider_shows_a_past_moment_everywhere_and_now_returns(page: Page, world: World) -> None:
    entries = world.redis.xrange(world.cli.keys("events"))
    lost = next(entry_id for entry_id, fields in entries if fields["type"] == "node.offline")
    go_to(page, int(lost.split("-")[0]) - 1)
    expect(page.locator("#condition")).to_have_text("Past")
    expect(page.locator("#health")).to_contain_text(re.compile(r"Open\s*12.*Offline\s*0"))
    expect(page.locator("#pairs tr.waits")).to_have_count(0)
    expect(page.locator("#letters li")).to_contain_text("None")
    expect(page.locator("#log")).not_to_contain_text("power cut")
    world.submit("meanwhile", "sv", "fi")
    expect(page.locator("#log")).not_to_contain_text("meanwhile")
    page.locator("#now").click()
    expect(page.locator("#condition")).to_have_text("Live")
    expect(page.locator("#log")).to_contain_text("meanwhile")
    expect(page.locator("#health")).to_contain_text(re.compile(r"Offline\s*1"))


def test_a_jump_goes_to_the_next_node_loss_and_dead_letter_and_play_goes_on_to_now(page: Page, world: World) -> None:
    first = int(world.redis.xrange(world.cli.keys("events"), count=1)[0][0].split("-")[0])
    go_to(page, first)
    expect(page.locator("#health")).to_contain_text(re.compile(r"Open\s*0"))
    page.locator("#forth").click()
    expect(page.locator("#log li").first).to_contain_text("power cut")
    expect(page.locator("#health")).to_contain_text(re.compile(r"Offline\s*1"))
    page.locator("#kind").select_option("letter")
    page.locator("#forth").click()
    expect(page.locator("#log li").first).to_contain_text("UNKNOWN_JOB")
    page.locator("#speed").select_option("3600")
    page.locator("#play").click()
    expect(page.locator("#condition")).to_have_text("Live")


def test_a_waiting_job_is_explained_and_a_node_shows_its_story(page: Page, world: World) -> None:
    page.locator("#log-filter").fill("stuck")
    page.locator("#log .name.job", has_text="stuck").first.click()
    story = page.locator("#story")
    expect(story.locator(".answer")).to_contain_text("no pool serves sv → fi")
    expect(story.locator(".steps")).to_contain_text("job.submitted")
    page.keyboard.press("Escape")
    expect(story).to_be_hidden()
    page.locator("#node-find").fill("node-03")
    page.keyboard.press("Enter")
    expect(story.locator("h2")).to_have_text("node-03")
    expect(story.locator(".steps")).to_contain_text("power cut")
    story.locator("#story-close").click()
    page.locator("#log-filter").fill("first-4")
    page.locator("#log .name.job", has_text="first-4").first.click()
    expect(story.locator(".answer")).to_contain_text("dispatched on node")


def test_an_action_is_refused_without_the_token_and_done_with_it(page: Page, world: World) -> None:
    page.locator("#node-find").fill("node-05")
    page.keyboard.press("Enter")
    expect(page.locator("#story .steps")).to_be_visible()
    expect(page.locator("#story .actions button")).to_have_text(["Operator…"])
    status = page.evaluate(
        "fetch('/api/act', {method: 'POST', headers: {'content-type': 'application/json'},"
        " body: JSON.stringify({action: 'cordon', id: 'node-05'})}).then(answer => answer.status)"
    )
    assert status == 401
    sign_in(page, "not-the-token-not-the-token")
    expect(page.locator("#toast")).to_contain_text("not the token")
    sign_in(page)
    page.locator("#story .actions button", has_text="Cordon").click()
    page.locator("dialog input[name=reason]").fill("smoke")
    page.locator("dialog button[type=submit]").click()
    expect(page.locator("#toast")).to_contain_text("Done")
    assert world.redis.hget(world.cli.keys.node_info("node-05"), "cordon_reason") == "smoke"
    page.locator("#story .actions button", has_text="Uncordon").click()
    page.locator("dialog button[type=submit]").click()
    eventually(lambda: world.redis.hget(world.cli.keys.node_info("node-05"), "cordoned") == "false")
    page.keyboard.press("Escape")
    page.locator("#configure").click()
    page.locator("dialog input[name=max_attempts]").fill("5")
    page.locator("dialog button[type=submit]").click()
    expect(page.locator("dialog .diff")).to_contain_text("max_attempts 3 → 5")
    page.locator("dialog button[type=submit]").click()
    eventually(lambda: world.redis.hget(world.cli.keys("config"), "max_attempts") == "5")


def test_the_page_lives_through_restarts_of_the_server_and_of_the_dashboard(page: Page, world: World) -> None:
    world.server.kill()
    expect(page.locator("#condition")).to_have_text("Server away")
    expect(page.locator("#trouble")).to_be_visible()
    world.server.start()
    expect(page.locator("#condition")).to_have_text("Live")
    expect(page.locator("#trouble")).to_be_hidden()
    world.cli.stop(world.dashboard)
    expect(page.locator("#trouble")).to_contain_text("trying again")
    world.serve()
    expect(page.locator("#condition")).to_have_text("Live")
    world.submit("after", "sv", "fi")
    expect(page.locator("#log li").first).to_contain_text("after")


def test_what_a_producer_wrote_is_shown_and_never_run(page: Page, world: World) -> None:
    world.add(type="node.cordoned", node_id=HOSTILE, reason=HOSTILE)
    world.submit(HOSTILE, session=HOSTILE)
    world.add(type="job.cancelled", job_id=HOSTILE, reason=HOSTILE)
    page.locator("#log .name.job", has_text=HOSTILE).first.click()
    expect(page.locator("#story h2")).to_have_text(HOSTILE)
    expect(page.locator("#story .steps")).to_contain_text(HOSTILE)
    expect(page.locator("#letters")).to_contain_text(HOSTILE)
    assert page.locator("main img, #story img").count() == 0
    assert page.evaluate("window.harmed") is None
    assert page.evaluate(
        "() => { try { document.body.insertAdjacentHTML('beforeend', '<p>') } catch { return 'refused' } }"
    ) == "refused"  # fmt: skip


def test_everything_can_be_done_with_the_keyboard(page: Page, world: World) -> None:
    page.locator("#grid").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#said")).to_contain_text(re.compile(r"node-\d\d: "))
    page.keyboard.press("Enter")
    expect(page.locator("#story h2")).to_have_text(re.compile(r"node-\d\d"))
    page.keyboard.press("Escape")
    expect(page.locator("#grid")).to_be_focused()
    page.locator("#slider").focus()
    page.keyboard.press("Home")
    expect(page.locator("#condition")).to_have_text("Past")
    page.keyboard.press("n")
    expect(page.locator("#log li").first).to_contain_text("power cut")
    page.keyboard.press("0")
    expect(page.locator("#condition")).to_have_text("Live")
    page.keyboard.press("/")
    page.keyboard.type("stuck")
    expect(page.locator("#log li").first).to_contain_text("stuck")
    page.keyboard.press("Tab")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_contain_text("play, pause")


def test_the_page_reads_chinese_and_remembers_it(page: Page, world: World) -> None:
    page.locator("#language").click()
    expect(page.locator("#nodes-title")).to_have_text("节点")
    expect(page.locator("#condition")).to_have_text("实时")
    expect(page.locator("#log li", has_text="stuck").first).to_contain_text("提交")
    page.locator("#log .name.job", has_text="stuck").first.click()
    expect(page.locator("#story .answer")).to_contain_text("没有池服务 sv → fi")
    page.reload()
    expect(page.locator("#condition")).to_have_text("实时")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    shown = page.locator("body").inner_text()
    assert re.findall(r"\b(?:figure|nodes|pairs|charts|log|letters|time|story|act)\.[a-z_]+\b", shown) == []


TRIAL = """async () => {
  const { LineChart } = await import("/page/panels/linechart.js");
  const box = document.createElement("div");
  box.id = "trial";
  box.style.cssText = "position: fixed; left: 0; top: 0; width: 468px; height: 150px; z-index: 99; background: white";
  document.body.append(box);
  window.cursor = "none yet";
  window.trial = new LineChart(box, {
    series: [{ stroke: "rgb(255, 0, 0)", width: 2 }], muted: "rgb(0, 0, 255)", rule: "rgb(0, 255, 0)",
    font: "11px sans-serif", timeWords: String, valueWords: String, onCursor: (at) => { window.cursor = at; },
  });
  trial.show([0, 1000, 2000, 3000, 4000], [[10, 10, null, 10, 10]]);
}"""
"""A chart of its own in the page's corner, whose plot is 400 pixels wide and 116 high."""

RED = """async () => {
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  const canvas = document.querySelector("#trial canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let n = 0; n < data.length; n += 4) found += data[n] > 215 && data[n + 1] < 40 && data[n + 3] > 200;
  return [found, canvas.width, canvas.clientWidth];
}"""


@pytest.mark.parametrize("density", [1, 2])
def test_a_chart_draws_its_line_over_gaps_and_as_sharp_as_the_screen(
    density: int, browser: Browser, world: World
) -> None:
    page = opened(browser, world, device_scale_factor=density)
    page.evaluate(TRIAL)
    red, pixels, width = page.evaluate(RED)
    assert (pixels, width) == (468 * density, 468)
    assert red >= 390 * density * (2 * density - 1), "the line goes from edge to edge, over the point without a value"
    page.evaluate("document.getElementById('trial').style.width = '268px'")
    page.wait_for_function("pixels => document.querySelector('#trial canvas').width === pixels", arg=268 * density)
    assert page.evaluate(RED)[0] < red * 0.6, "drawn again when its place became narrower"
    page.evaluate("trial.show([1000], [[5]])")
    assert 10 < page.evaluate(RED)[0] < 60 * density**2, "one point alone is a dot"
    page.context.close()


def test_a_chart_points_at_what_is_under_the_pointer_until_it_leaves(page: Page, world: World) -> None:
    page.evaluate(TRIAL)
    drawn = page.evaluate(RED)[0]
    assert page.evaluate("cursor") == "none yet"
    page.mouse.move(52 + 290, 60)
    assert page.evaluate(RED)[0] > drawn + 10, "a dot on the line"
    assert page.evaluate("cursor") == 3
    page.mouse.move(52 + 190, 60)
    assert abs(page.evaluate(RED)[0] - drawn) < 5, "no value, no dot; the cursor crosses the line"
    assert page.evaluate("cursor") == 2
    page.evaluate("trial.show([0, 1000], [[10, 10]])")
    assert page.evaluate("cursor") == 0, "other points under a pointer that rests"
    page.mouse.move(20, 60)
    assert page.evaluate("cursor") is None, "the axis is not the plot"
    page.mouse.move(52 + 190, 60)
    page.mouse.move(600, 600)
    assert page.evaluate("cursor") is None


TICKS = "async ([name, ...given]) => (await import('/page/panels/linechart.js'))[name](...given)"


@pytest.mark.parametrize(
    ("high", "ticks"),
    [(1, [0, 0.5, 1]), (8.8, [0, 5]), (110, [0, 50, 100]), (880, [0, 250, 500, 750]), (9e6, [0, 25e5, 5e6, 75e5])],
)
def test_the_values_axis_has_round_numbers_with_room_between(page: Page, high: float, ticks: list[float]) -> None:
    assert page.evaluate(TICKS, ["valueTicks", high, 116]) == ticks


def test_the_logarithmic_axis_has_powers_of_ten(page: Page) -> None:
    assert page.evaluate(TICKS, ["decades", 0.1, 10]) == [0.1, 1, 10]
    assert page.evaluate(TICKS, ["decades", 1, 1250.5]) == [1, 10, 100, 1000]


def test_the_time_axis_has_round_times_of_the_readers_clock_also_where_it_is_put_back(
    browser: Browser, world: World
) -> None:
    page = opened(browser, world, timezone_id="Europe/Berlin")
    begin = page.evaluate("new Date(2024, 9, 26, 20, 10).getTime()")  # the clock went back at three the next morning
    ticks = page.evaluate(TICKS, ["timeTicks", begin, begin + 24 * 3600_000, 400])
    words = page.evaluate("ticks => ticks.map((ms) => new Date(ms).toLocaleTimeString('en-GB'))", ticks)
    assert words == ["00:00:00", "06:00:00", "12:00:00", "18:00:00"]
    minutes = page.evaluate(TICKS, ["timeTicks", begin, begin + 240_000, 250])
    assert [ms - begin for ms in minutes] == [0, 120_000, 240_000]
    page.context.close()


def names_in(file: Path) -> set[str]:
    return set(re.findall(r'"([\w.]+)":', file.read_text())) | set(re.findall(r"^  (\w+): \"", file.read_text(), re.M))


def test_every_text_that_the_page_asks_for_exists_in_both_languages() -> None:
    english, chinese = names_in(PAGE / "texts" / "en.js"), names_in(PAGE / "texts" / "zh.js")
    assert english - chinese - {"figure.workers_1", "figure.delayed_1"} == set()
    sources = "".join(
        path.read_text() for path in (*PAGE.rglob("*.js"), PAGE / "index.html") if path.parent.name != "texts"
    )
    asked = set(re.findall(r"\bt\(\"([\w.]+)\"[,)]", sources)) | set(
        re.findall(r"data-t(?:-\w+)?=\"([\w.]+)\"", sources)
    )
    assert len(asked) > 80
    assert asked - english == set()


LOOKS: dict[str, dict[str, Any]] = {
    "desktop light": {"color_scheme": "light"},
    "desktop dark": {"color_scheme": "dark"},
    "phone light": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
    "phone dark chinese": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "locale": "zh-CN"},
}


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_barrier(look: str, browser: Browser, world: World) -> None:
    # axe is a script that the page itself forbids, and it must not measure what is still fading in
    page = opened(browser, world, bypass_csp=True, reduced_motion="reduce", **LOOKS[look])
    name = look.replace(" ", "-")
    SCREENSHOTS.mkdir(exist_ok=True)

    def check(what: str) -> None:
        expect(page.locator("body")).not_to_have_class(re.compile("folding"))  # which dims what is not there yet
        page.screenshot(path=SCREENSHOTS / f"axe-{name}-{what}.png")
        found = Axe().run(page).response["violations"]
        outcome = [(one["id"], one["impact"], [node["html"][:140] for node in one["nodes"]][:3]) for one in found]
        assert outcome == [], f"{look}, {what}"

    check("live")
    page.locator("#as-list").click()
    go_to(page, int(world.redis.xrange(world.cli.keys("events"), count=1)[0][0].split("-")[0]))
    expect(page.locator("#condition")).to_have_text(re.compile("Past|过去"))
    check("past")
    page.locator("#now").click()
    page.locator("#log-filter").fill("stuck")
    page.locator("#log .name.job", has_text="stuck").first.click()
    expect(page.locator("#story .answer")).to_be_visible()
    check("story")
    page.keyboard.press("Escape")
    page.locator("#operator").click()
    expect(page.locator("dialog input")).to_be_visible()
    check("dialog")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.context.close()
    assert wide <= 0, "the page scrolls sideways"
