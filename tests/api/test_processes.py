"""Real processes in trouble: no room to write, killed in the middle, two at once, somebody at a terminal."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from simulators.folders import read_folder, write_folder
from tests.api.shop import write_shop
from tests.simulators import shops

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "api.cli.main")
SAID = ("--currency", "EUR", "--time-zone", "Europe/Madrid", "--country", "ES", "--tax-rate", "0.21")
BUSY = 6
CTRL_C = "\x03"
PRESSED_AGAIN = 5.0  # seconds


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with nothing in it but the processes' own TMPDIR."""
    (tmp_path / "tmp").mkdir()
    return tmp_path


def _start(here: Path, *words: object, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(here / "tmp"), "TARIFA_LANGUAGE": "en"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,  # noqa: PLW1509 - the tests start no threads
    )


def _end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def _left(here: Path) -> list[str]:
    """Everything that lies there now, the temporary folder's contents included."""
    return sorted(str(path.relative_to(here)) for path in here.rglob("*") if path != here / "tmp")


def _add_orders(data: Path, count: int, product: str = "p01") -> None:
    """Add order lines whose numbers no compression makes small."""
    rng = np.random.default_rng(5)
    with (data / "orders.csv").open("a") as orders:
        for number in rng.bytes(16 * count).hex(" ", 16).split():
            orders.write(f"{number},1,2024-03-01 12:00:00,paid,{product},1,2.00,2.00,2.00,gross\n")


def _no_room(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [0, 4096, 30_000])
def test_a_full_disk_is_said_and_leaves_nothing(here: Path, size: int) -> None:
    data = write_shop(here / "data")
    _add_orders(data, 4000, product="p99")
    before = _left(here)
    started = [
        _start(here, *words, "--json", before=_no_room(size))
        for words in (
            ("import", data, "--out", here / "out"),
            ("check", data),
            ("fit", data, "--out", here / "run"),
        )
    ]
    for process in started:
        code, out, err = _end(process)
        assert code == BUSY, err
        assert json.loads(out)["error"]["code"] == "busy"
        assert "room" in err
        assert "TMPDIR" in err or "Free some space" in err
    assert [name for name in _left(here) if not name.endswith(".key")] == before


def test_a_full_disk_keeps_what_an_earlier_import_wrote(here: Path) -> None:
    data, out = write_shop(here / "data"), here / "out"
    assert _end(_start(here, "import", data, "--out", out))[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    _add_orders(data, 4000)
    code, _, err = _end(_start(here, "import", data, "--out", out, before=_no_room(40_000)))
    assert (code, "There is no room left" in err) == (BUSY, True), err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [name for name in _left(here) if "tarifa-" in name] == []


def _when(found: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not found() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def _at_work(here: Path, words: Sequence[object], draft: Path) -> subprocess.Popen[str]:
    """Start a command and return once it has both its draft and a session's folder."""
    tmp = here / "tmp"
    before = set(tmp.iterdir())
    process = _start(here, *words)
    _when(lambda: draft.exists() and bool(set(tmp.iterdir()) - before), process)
    return process


def test_killed_in_the_middle_leaves_nothing_whole_and_the_next_cleans_up(here: Path) -> None:
    data, run, out = write_shop(here / "data"), here / "run", here / "out"
    for words, draft in (
        (("fit", data, "--out", run), here / ".run.tarifa-new"),
        (("import", data, "--out", out), here / ".out.tarifa-new"),
    ):
        process = _at_work(here, words, draft)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert draft.exists()
    assert not run.exists()
    assert not out.exists()
    assert any((here / "tmp").iterdir())
    assert _end(_start(here, "import", data, "--out", out))[0] == 0
    read_folder(out, "data")
    write_folder(run, "run", {"a": b""})  # as the next fit would, in no time
    assert sorted(path.name for path in here.iterdir()) == ["data", "out", "out.key", "run", "tmp"]
    assert list((here / "tmp").iterdir()) == []


def test_killed_again_and_again_an_import_is_the_old_or_the_new(here: Path) -> None:
    """Whenever it is killed, the data folder is whole: the first import's, or the second's."""
    data, out, key = write_shop(here / "data"), here / "out", here / "key"
    words = ("import", data, "--out", out, "--key-file", key)
    assert _end(_start(here, *words))[0] == 0
    versions = {1: pq.read_metadata(out / "orders.parquet").num_rows}
    _add_orders(data, 1)
    for delay in (0.0, 0.01, 0.03, 0.08):
        process = _start(here, *words)
        _when((here / ".out.tarifa-new").exists, process)
        time.sleep(delay)
        process.kill()
        process.communicate()
        folder = read_folder(out, "data")
        assert pq.read_metadata(folder.file("orders.parquet")).num_rows - versions[1] in (0, 1)
    assert _end(_start(here, *words))[0] == 0
    assert pq.read_metadata(out / "orders.parquet").num_rows == versions[1] + 1
    assert sorted(path.name for path in here.iterdir()) == ["data", "key", "out", "tmp"]


def test_of_several_imports_into_one_folder_each_is_whole_or_refused(here: Path) -> None:
    data, out = write_shop(here / "data"), here / "out"
    ended = [_end(p) for p in [_start(here, "import", data, "--out", out, "--json") for _ in range(4)]]
    codes = [code for code, _, _ in ended]
    assert set(codes) <= {0, BUSY}
    assert 0 in codes
    for code, told, _ in ended:
        if code:
            assert "in use by another process" in json.loads(told)["error"]["what"]
    folder = read_folder(out, "data")
    assert [name for name, _ in folder.digests] == [
        "orders.parquet", "products.parquet", "promotions.parquet", "shop.toml",
    ]  # fmt: skip
    assert sorted(path.name for path in here.iterdir()) == ["data", "out", "out.key", "tmp"]
    assert list((here / "tmp").iterdir()) == []


def test_imports_at_once_agree_on_one_key(here: Path) -> None:
    source = shops.write_shop(here / "in", orders=shops.orders(shops.GOOD_LINE))
    outs = [here / f"out{i}" for i in range(4)]
    key = here / "key"
    ended = [_end(p) for p in [_start(here, "import", source, "--out", o, "--key-file", key) for o in outs]]
    assert {code for code, _, _ in ended} <= {0, BUSY}
    for out, (code, _, _) in zip(outs, ended, strict=True):
        if code:
            assert _end(_start(here, "import", source, "--out", out, "--key-file", key))[0] == 0
    found = [pq.read_table(out / "orders.parquet").column("customer_id").to_pylist() for out in outs]
    assert all(customers == found[0] for customers in found)
    assert len(key.read_bytes()) == 32


def _talk(here: Path, words: Sequence[object], answers: Sequence[tuple[str, str]]) -> tuple[int, str]:
    """Run a command at a terminal: whenever it shows the next text, type its answer.

    Ctrl-C is pressed again every few seconds until the command ends, as a person would: Python loses one that
    comes between its last look for signals and its wait for a line.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ.update(TMPDIR=str(here / "tmp"), TERM="dumb", COLUMNS="200")
        os.execv(COMMAND[0], [*COMMAND, *map(str, words)])  # noqa: S606 - our own command, at a terminal
    shown, waiting, since, typed, again = "", list(answers), 0, "", 0.0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                content = os.read(terminal, 4096)
            except OSError:  # Linux says so when the other side is closed
                break
            if not content:
                break
            shown += content.decode(errors="replace")
        if waiting and waiting[0][0] in shown[since:]:
            since, typed, again = len(shown), waiting.pop(0)[1], time.monotonic() + PRESSED_AGAIN
            os.write(terminal, typed.encode())
        elif typed == CTRL_C and time.monotonic() > again:
            again = time.monotonic() + PRESSED_AGAIN
            os.write(terminal, typed.encode())
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert "Traceback" not in shown, shown
    assert not waiting, shown
    return os.waitstatus_to_exitcode(status), shown


def _spanish(folder: Path) -> Path:
    folder.mkdir()
    (folder / "orders.csv").write_text(
        "pedido;linea;fecha;estado;referencia;cantidad;precio;total;price_basis\n"
        "1;1;2024-01-02;paid;A1;2;1,50;3,00;gross\n"
    )
    (folder / "products.csv").write_text("product_id,category,kind\nA1,c,merchandise\n")
    return folder


def test_answers_at_a_terminal_wrong_and_right(here: Path) -> None:
    source, out = _spanish(here / "in"), here / "out"
    code, shown = _talk(
        here,
        ("import", source, "--out", out, "--currency", "EUR", "--time-zone", "Europe/Madrid"),
        [
            ("Country", "\n"),  # nothing: asked again
            ("Country", "ES\n"),
            ("Tax", "twenty-one\n"),  # no number: asked again
            ("Tax", "0.21\n"),
            ("include tax?", "perhaps\n"),  # neither yes nor no: asked again
            ("include tax?", "y\n"),
            ("Is this right?", "what?\n"),
            ("Is this right?", "y\n"),
        ],
    )
    assert code == 0, shown
    assert "cantidad" in shown
    assert 'country = "ES"' in (out / "shop.toml").read_text()
    assert pq.read_table(out / "orders.parquet").column("quantity").to_pylist() == ["2"]


@pytest.mark.parametrize(
    ("answers", "exit_code", "told"),
    [
        ([("Is this right?", "n\n")], 2, "nothing was imported"),
        ([("Is this right?", "\x04")], 1, "Aborted"),
        ([("Is this right?", CTRL_C)], None, ""),
    ],
    ids=["no", "ctrl-d", "ctrl-c"],
)
def test_no_and_silence_import_nothing(
    here: Path, answers: list[tuple[str, str]], exit_code: int | None, told: str
) -> None:
    source = _spanish(here / "in")
    words = ("import", source, "--out", here / "out", *SAID, "--prices-include-tax")
    code, shown = _talk(here, words, answers)
    assert code in ((1, 130) if exit_code is None else (exit_code,)), shown
    assert told in shown
    assert sorted(path.name for path in here.iterdir()) == ["in", "tmp"]
    assert list((here / "tmp").iterdir()) == []


def test_paths_that_are_no_text_and_terminals_without_letters(here: Path) -> None:
    odd = here / os.fsdecode(b"caf\xe9 \xff")
    shutil.copytree(shops.write_shop(here / "ñandú"), odd)
    for encoding, folder, code in (
        ("utf-8:strict", odd, 2), ("ascii:strict", here / os.fsdecode(b"\xff none"), 3),
        ("latin-1:strict", odd, 2), ("ascii:strict", here / "ñandú", 0),
    ):  # fmt: skip
        done = subprocess.run(
            [*COMMAND, "check", str(folder), "--json"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(here / "tmp"), "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
        document = json.loads(done.stdout.decode(encoding.split(":")[0]))
        assert ("error" in document) == (code != 0)
