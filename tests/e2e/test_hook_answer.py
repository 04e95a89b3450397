"""What the pusher reads, word for word, as the real client shows it."""
import hashlib
import json
import re

import pytest

from hub.samples import COMMAND, call, models, pickle_of
from servers import BareRepository
from test_hook import POISON, WorkingCopy, assert_refused

HOUSE = """\
hook:
  message:
    - "Questions: #model-security. They answer within a day."
    - "Do not push it to another repository."
  waiver_link: "https://h.invalid/ask?ref={reference}&path={path}&rules={rules}"
"""


def told(run):
    """The hook's lines, with what differs from run to run written in capitals."""
    lines = [line.removeprefix("remote: ").rstrip() for line in run.output.splitlines() if line.startswith("remote: hubgate")]
    text = re.sub(r"HG-\w+", "REFERENCE", "\n".join(lines))
    return re.sub(r"\b[0-9a-f]{12}\b", "COMMIT", text)


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


REFUSED = f"""\
hubgate: checking 4 new objects in 1 ref update
hubgate: PUSH REFUSED: 1 of 1 object is blocked, nothing was changed
hubgate: BLOCKED models/model.pkl
hubgate:   at:        refs/heads/main, commit COMMIT
hubgate:   found:     pickle-dangerous-call (malicious, runs when it is loaded) at byte OFFSET
hubgate:   evidence:  os.system('{COMMAND}')
hubgate:   decided:   it attacks whoever loads it (policy rule malicious)
hubgate:   to do:     take it out of commit COMMIT; deleting it later is not enough
hubgate:   sha256:    {hashlib.sha256(POISON).hexdigest()}
hubgate:   waiver:    your security team: hubgate waiver add REFERENCE --reason ...
hubgate:   reference: REFERENCE"""


def test_a_refusal(tmp_path, work):
    server = BareRepository(tmp_path)
    work.commit({"models/model.pkl": POISON})
    run = work.push(server)
    text = re.sub(r"at byte \d+", "at byte OFFSET", told(run))
    assert text == REFUSED, run.output
    assert "\x1b" not in run.output and run.output.isascii()
    # The log has the same reference.
    reference = re.search(r"reference: (HG-\w+)", run.output)[1]
    lines = [json.loads(line) for file in (server.data / "audit").glob("*.jsonl") for line in file.read_text().splitlines()]
    assert [line["path"] for line in lines if line.get("id") == reference] == ["models/model.pkl"]
    assert [line["decision_ids"] for line in lines if line["event"] == "push"] == [[reference]]


def test_the_words_of_the_house(tmp_path, work):
    server = BareRepository(tmp_path, config=HOUSE)
    work.commit({"models/my model.pkl": POISON})
    run = work.push(server)
    assert_refused(run, "Questions: #model-security. They answer within a day.", "Do not push it to another repository.")
    assert re.search(r"https://h.invalid/ask\?ref=HG-\w+&path=models%2Fmy%20model.pkl&rules=pickle-dangerous-call\S*\s", run.output), run.output
    assert "hubgate waiver add" not in run.output


def test_annotated_pushes_pass_with_the_same_lines(tmp_path, work):
    server = BareRepository(tmp_path)
    work.commit({"model.pkl": models()["demo/unknown-class"]["model.pkl"]})
    run = work.push(server)
    assert run.ok, run.output
    assert re.fullmatch(r"hubgate: checking 3 new objects in 1 ref update\n"
                        r"hubgate: warning: model.pkl: pickle-unknown-class: \S.*PrivateLayer.*\n"
                        r"hubgate:   at:        refs/heads/main, commit COMMIT\n"
                        r"hubgate:   decided:   policy rule suspicious; ref REFERENCE", told(run)), run.output


def test_much_fits_one_screen(tmp_path, work):
    server = BareRepository(tmp_path, config=HOUSE)
    long = "x" * 180
    files = {f"{long}/{long}/model{n:02}.pkl": pickle_of(call("os", "system", COMMAND + " " + "y " * 300 + str(n))) for n in range(30)}
    work.commit(files)
    run = work.push(server)
    assert_refused(run, "PUSH REFUSED: 30 of 30 objects", "more (hubgate audit show HG-", "#model-security")
    lines = [line for line in run.output.splitlines() if line.startswith("remote: ")]
    assert len(lines) <= 25, run.output  # "checking ..." and one screen
    assert all(len(line.rstrip()) <= 100 or "https://" in line for line in lines), run.output


def test_colours_only_when_asked_for(tmp_path, work):
    server = BareRepository(tmp_path, "--color")
    work.commit({"model.pkl": POISON})
    assert "\x1b[1;31mhubgate: PUSH REFUSED" in work.push(server).output


@pytest.mark.parametrize("line, words", [
    ("waiver_link: javascript:alert(1)", "begins with https://"),
    ("waiver_link: 'https://h.invalid/{refrence}'", "knows no {refrence}"),
    ("groups_from: 'a b'", "is no name of a variable"),
])
def test_mistakes_in_the_configuration_are_named(tmp_path, work, line, words):
    server = BareRepository(tmp_path, config=f"hook:\n  {line}\n")
    work.commit({"README.md": b"one\n"})
    assert_refused(work.push(server), words)
