"""The command line of ``recommend.py``. It imports nothing that a first page does not need."""

from __future__ import annotations

import argparse
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from player.settings import DATA, PlayerSettings

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

KEEP_ALIVE = 75
"""[s] After which a silent connection is closed: longer than most people listen to a track's clip,
so that a press need not open another one."""


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--run",
        type=Path,
        help="a run of train.py --listener any on this catalogue, whose policy recommends; if not "
        "given: the one in the data folder, trained on the first start",
    )
    add(
        "--catalogue",
        type=Path,
        help="tracks as CSV (also gzip) or Parquet; the embedded catalogue if not given",
    )
    add("--port", type=int, default=8000, help="port of the page (default: %(default)s)")
    add(
        "--host",
        default="127.0.0.1",
        help="address to be bound to (default: %(default)s, this machine alone). There is no "
        "password: whoever reaches it can be a listener",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name that the page may be called by; may be repeated",
    )
    add(
        "--data",
        type=Path,
        default=DATA,
        metavar="DIR",
        help="folder for the policy and the listeners (default: %(default)s)",
    )
    add(
        "--timesteps",
        type=int,
        metavar="N",
        help="tracks to judge when the policy is trained; if not given: the learner's default",
    )
    add(
        "--musicgen",
        metavar="MODEL",
        help="make the clips of 'Generate for me' with this MusicGen model, which is installed on "
        "this machine, such as facebook/musicgen-small, instead of composing them",
    )
    add(
        "--no-learning",
        action="store_true",
        help="learn nothing from presses, to see what learning is worth",
    )
    add(
        "--simulate",
        type=int,
        metavar="N",
        help="let a simulated listener press N times through the API, and print how the share of "
        "liked tracks grows, instead of serving the page",
    )
    add(
        "--listeners",
        type=int,
        default=1,
        help="with --simulate: so many listeners press at once (default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="with --simulate: which listeners (default: %(default)s)",
    )
    return parser


def main(description: str | None = None) -> int:
    """Parse the command line, serve or simulate; return the exit status."""
    parser = parser_of(description)
    arguments = parser.parse_args()
    for name, least in (
        ("simulate", 1),
        ("listeners", 1),
        ("timesteps", 1),
        ("port", 0),
        ("seed", 0),
    ):
        value = getattr(arguments, name)
        if value is not None and value < least:
            parser.error(f"--{name} must be at least {least}, got {value}")
    if arguments.port > 65535:
        parser.error(f"--port must be at most 65535, got {arguments.port}")
    settings = PlayerSettings(
        catalogue=arguments.catalogue,
        run=arguments.run,
        data=arguments.data,
        host=arguments.host,
        port=arguments.port,
        allowed_hosts=tuple(arguments.allow_host),
        music_model=arguments.musicgen,
        learning=not arguments.no_learning,
        timesteps=arguments.timesteps,
    )
    if settings.catalogue is not None and not settings.catalogue.is_file():
        parser.error(f"--catalogue: there is no file {settings.catalogue}")
    if settings.run is not None and not settings.run.is_dir():
        parser.error(f"--run: there is no folder {settings.run}")
    if arguments.simulate is not None:
        from player.simulate import simulate

        return simulate(
            settings, arguments.simulate, listeners=arguments.listeners, seed=arguments.seed
        )
    return serve(settings)


def serve(settings: PlayerSettings) -> int:
    """Serve the page until Ctrl-C; return the exit status."""
    from player.app import create_app

    server = server_of(create_app(settings))
    try:
        listening = bound(settings.host, settings.port)
    except OSError as error:
        print(
            f"recommend.py: cannot listen on {settings.host} port {settings.port}: "
            f"{error.strerror}. Is another player running? Name another --port",
            file=sys.stderr,
        )
        return 2
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"MusicRec player: http://{shown}:{port}/  (Ctrl-C ends it)", flush=True)
    with suppress(KeyboardInterrupt):  # which uvicorn raises again once all is closed
        server.run(sockets=[listening])
    return 0


def server_of(app: FastAPI) -> uvicorn.Server:
    """Return the server of an application."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
    )


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; port 0: any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)  # who comes before the server is up waits for it
    except OSError:
        listening.close()
        raise
    return listening
