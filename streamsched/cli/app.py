"""The command ``streamsched``: what each subcommand takes. What it does stands in other modules, imported late."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..console.terminal import OK, Exit, UsageProblem, as_json, needs, say
from . import completion as cli_complete
from . import declared_dead as cli_dead
from . import declared_live as cli_live
from . import declared_replay as cli_replay
from . import declared_steer as cli_steer
from .options import COMMON, OF_THE_SERVER, SERVICE_PATIENCE_S, ArchiveDir, Json, Source, Target, command


class Program(typer.Typer):
    """The command, or what its completion offers, as typer has it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with cli_complete.in_words_of_bash():
            return super().__call__(*args, **kwargs)


app = Program(
    name="streamsched",
    help="An event-sourced scheduler over Redis Streams. Start with: streamsched dev",
    epilog="Settings come from flags, then STREAMSCHED_URL, STREAMSCHED_NAMESPACE and so on, then a TOML "
    "file (--config, STREAMSCHED_CONFIG, ./streamsched.toml, ~/.config/streamsched/config.toml). "
    f"Exit codes: {', '.join(f'{code:d} {code.meaning}' for code in Exit)}.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(cli_replay.app)
app.add_typer(cli_steer.app)
app.add_typer(cli_dead.app)
app.add_typer(cli_live.app)

LogFormat = Annotated[Literal["console", "json"] | None, typer.Option(help="[default: console at a terminal]")]


@app.callback(invoke_without_command=True)
def streamsched(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from .. import __version__

        say(f"streamsched {__version__}")
        raise typer.Exit(OK)


@command(app, "streamsched dev --data ./streamsched-data", without=OF_THE_SERVER)
async def dev(
    target: Target,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="[default: 6379 if free, else a free one]")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Keep the data in this folder. [default: it goes with the server]")
    ] = None,
    json: Json = False,
) -> None:
    """Start a server and a worker for development. Ctrl-C ends both."""
    from .run.dev import develop

    await develop(target.settings, port, data, json)


@command(app, "streamsched dashboard --archive ./archive", without=("patience",))
async def dashboard(
    target: Target,
    bind: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where it answers.")] = "127.0.0.1:8321",
    archive: ArchiveDir = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Holds the operators' token. [default: STREAMSCHED_DASHBOARD_TOKEN]"),
    ] = None,
    host_name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name under which browsers reach it; may be repeated.")
    ] = None,
    log_format: LogFormat = None,
) -> None:
    """Show the partition in a browser, as it is and as it was at any moment. Read-only without a token. Ends on SIGTERM
    or Ctrl-C."""
    if archive is not None:
        cli_replay.needs_archive()
    needs("Starlette and uvicorn", "dashboard", "starlette", "uvicorn")
    from .run.dashboard import DashboardOptions, show

    options = DashboardOptions(bind=bind, archive=archive, token_file=token_file, host_names=tuple(host_name or ()))
    await show(target.settings, options, log_format)


@command(app, "streamsched metrics --bind 0.0.0.0:8322", without=("patience",))
async def metrics(
    target: Target,
    bind: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where it answers.")] = "127.0.0.1:8322",
    log_format: LogFormat = None,
) -> None:
    """Answer GET /metrics for Prometheus. Reads state and log, writes nothing; any number may run. Ends on SIGTERM or
    Ctrl-C."""
    needs("prometheus-client", "metrics", "prometheus_client")
    from .run.metrics import export

    await export(target.settings, bind, log_format)


@command(app, "streamsched worker --url redis://10.0.0.5:6379 --health 0.0.0.0:8080")
async def worker(
    target: Target,
    health: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Answer GET / with 200 while healthy, else 503.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Events one call may fold or decide.")] = 256,
    log_format: LogFormat = None,
) -> None:
    """Fold events and decide what is due. Ends on SIGTERM or Ctrl-C. Run as many as you like; kill any at any time."""
    from .run.worker import work

    await work(target, health, batch, log_format)


@command(app, "streamsched node n1 --pools en-zh,en-ja --exec './translate --fast' --concurrency 4")
async def node(
    target: Target,
    node_id: Annotated[
        str,
        typer.Argument(help="Name of the node, the same after a restart.", autocompletion=cli_complete.nodes),
    ],
    exec_: Annotated[str, typer.Option("--exec", metavar="CMD", help="Program to run per job; no shell is involved.")],
    pools: Annotated[str | None, typer.Option(help="Pools, by languages: en-zh,en-ja.")] = None,
    pools_json: Annotated[
        str | None, typer.Option(help='The same as JSON, for codes with hyphens: [{"name": …, "languages": […]}].')
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Jobs at the same time.")] = 1,
    heartbeat_ms: Annotated[int, typer.Option(min=10, help="Between two heartbeats.")] = 5000,
    grace_ms: Annotated[int, typer.Option(min=0, help="How long running jobs may go on after SIGTERM.")] = 30_000,
    cap_json: Annotated[str, typer.Option(help="What the node can do, as JSON.")] = "{}",
    source: Source = None,
    log_format: LogFormat = None,
) -> int:
    """Carry out jobs with a program. Payload on stdin, result from stdout; any exit code but 0 fails the attempt with
    the end of stderr. The environment holds STREAMSCHED_JOB_ID, _SRC_LANG, _TGT_LANG, _SESSION_ID and _ATTEMPT.

    A job that is cancelled ends its program. SIGTERM or Ctrl-C: what runs is finished, the rest is handed back; a
    second one hands back all."""
    from ..node.node import Node
    from ..ops import logs
    from .run.node import pools_of, program_of, serve

    logs.configure(log_format)
    listed, program = pools_of(pools, pools_json), program_of(exec_)
    async with target.scheduler(SERVICE_PATIENCE_S, source) as scheduler:
        one = Node(
            scheduler,
            node_id,
            pools=listed,
            cap_json=cap_json,
            concurrency=concurrency,
            heartbeat_ms=heartbeat_ms,
            grace_ms=grace_ms,
        )
        return await serve(scheduler, one, program, grace_ms / 1000)


@command(app, "streamsched append node.cordoned node_id=n1 reason=hot")
async def append(
    target: Target,
    event: Annotated[
        str,
        typer.Argument(
            metavar="TYPE|-",
            help="Type of the event, or - for NDJSON on stdin.",
            autocompletion=cli_complete.event_types,
        ),
    ],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE...", autocompletion=cli_complete.fields)
    ] = None,
    source: Source = None,
    json: Json = False,
) -> int:
    """Append events to the log. On stdin: one JSON object per line, "type" and fields, sent in order, many at a time;
    each line that is refused is named, the others go through. Exit code 1 if any was refused. Who may have to send
    the same once more gives it a request_id (a job: a job_id): it takes effect once."""
    from .operate.append import append_lines, append_one, flat_arguments

    if event == "-" and fields:
        raise UsageProblem("fields cannot be given beside -: put them into the lines on stdin")
    flat = [] if event == "-" else flat_arguments(event, fields or [])
    async with target.speak(source) as partition:
        return await (append_one(partition, flat, json) if flat else append_lines(partition, json))


@command(app, "streamsched submit --session s1 --src en --tgt zh --wait 'hello'")
async def submit(
    target: Target,
    session: Annotated[
        str, typer.Option(help="The conversation the job belongs to.", autocompletion=cli_complete.sessions)
    ],
    src: Annotated[str, typer.Option(help="Language to translate from.", autocompletion=cli_complete.languages)],
    tgt: Annotated[str, typer.Option(help="Language to translate to.", autocompletion=cli_complete.languages)],
    payload: Annotated[
        str, typer.Argument(metavar="PAYLOAD|-", help="What the node gets; - (default) reads stdin.")
    ] = "-",
    job_id: Annotated[str | None, typer.Option(help="Idempotency key. [default: made up]")] = None,
    priority: Annotated[int | None, typer.Option(help="-100 to 100, a higher one first. [default: 0]")] = None,
    deadline_ms: Annotated[
        int | None, typer.Option(min=1, help="Expires if it has not ended by then, from now.")
    ] = None,
    not_before_ms: Annotated[int | None, typer.Option(min=1, help="Waits at least this long, from now.")] = None,
    max_attempts: Annotated[
        int | None, typer.Option(help="Attempts before it fails. [default: as configured, 3]")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result and print it.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds to wait; implies --wait. [default: for ever]")
    ] = None,
    source: Source = None,
    json: Json = False,
) -> int:
    """Submit a job. Prints its id, or with --wait its result. Exit code 1 if it was refused or did not finish. A trace
    in TRACEPARENT goes with it."""
    from ..client.requests import SubmitRequest
    from .operate.submit import hand_in, payload_of, timed

    request = SubmitRequest(
        session_id=session,
        src_lang=src,
        tgt_lang=tgt,
        payload_json=payload_of(payload),
        job_id=job_id,
        priority=priority,
        max_attempts=max_attempts,
        traceparent=os.environ.get("TRACEPARENT") or None,
    )
    async with target.scheduler(source=source) as scheduler:
        request = await timed(scheduler, request, deadline_ms, not_before_ms)
        return await hand_in(scheduler, request, wait or timeout is not None, timeout, json)


@command(app, "streamsched cancel s1:4711 --reason 'user left'")
async def cancel(
    target: Target,
    job_id: Annotated[str, typer.Argument(autocompletion=cli_complete.jobs)],
    reason: Annotated[str | None, typer.Option(help="Kept with the job.")] = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """Take a job back. One that waits ends at once, one that runs is stopped on its node."""
    async with target.scheduler(source=source) as scheduler:
        await scheduler.cancel(job_id, reason)
    if json:
        as_json({"job_id": job_id, "cancelled": True})
    else:
        say(f"{job_id} cancelled")


@command(app, "streamsched status --watch")
async def status(
    target: Target,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every --interval until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    limit: Annotated[int, typer.Option(min=0, help="Rows of each kind.")] = 50,
    json: Json = False,
) -> int:
    """Show partition, nodes, pools and what waits. Exit code 1 if the partition is halted or its log
    has a gap."""
    from .observe.status import show

    return await show(target, watch, interval, limit, json)


@command(app, "streamsched acl worker --password-file worker.secret >> users.acl", without=OF_THE_SERVER)
async def acl(
    target: Target,
    role: Annotated[Literal["producer", "node", "worker", "archiver", "auditor", "operator"], typer.Argument()],
    user: Annotated[str | None, typer.Option(help="Name of the user. [default: that of the role]")] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="Holds the user's password; printed hashed.")
    ] = None,
    database: Annotated[int, typer.Option(min=0, help="Database of the partition.")] = 0,
    cluster: Annotated[bool, typer.Option("--cluster", help="For a server of a cluster.")] = False,
    source: Annotated[
        str | None, typer.Option(help="Of this source, behind its ingress.", autocompletion=cli_complete.sources)
    ] = None,
    node: Annotated[
        str | None, typer.Option(help="The node that the source speaks for.", autocompletion=cli_complete.nodes)
    ] = None,
    json: Json = False,
) -> None:
    """Print what a role must be permitted on the server, as a line for its ACL file; behind the word `user`, as ACL
    SETUSER takes it. docs/security.md says what each role may do."""
    from .operate.acl import Speaker, print_rules

    print_rules(target.settings, role, Speaker(source, node), user, password_file, database, cluster, json)


@command(app, "streamsched demo --speed 20", without=COMMON)
async def demo(
    target: Target,
    trace: Annotated[
        Path | None, typer.Option(help="Arrivals from a published trace: Mooncake JSONL or Azure CSV.")
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="Popularity of language pairs: OPUS counts.")] = None,
    churn: Annotated[Path | None, typer.Option(help="Comings and goings of nodes: a Bamboo trace.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.001, help="Scales the time of the trace.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="How long arrivals go on.")] = None,
    json: Json = False,
) -> int:
    """Watch a whole fleet at work. Processes are killed in mid-run, and the log is called to account at the end."""
    from ..demo.present import present
    from ..demo.run import DemoOptions

    options = {"trace": trace, "pairs": pairs, "churn": churn, "speed": speed, "seed": seed, "seconds": seconds}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    try:
        chosen = DemoOptions(json=json, **given)
    except ValueError as problem:
        raise UsageProblem(f"--{problem}") from None
    return await present(chosen)
