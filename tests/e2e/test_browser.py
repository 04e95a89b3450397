"""Headless Chromium through interception: the hub's pages, a download, and refusals as a person sees them."""
import pytest

from browser import Browser
from test_forward import ProxyGate, World


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def gate(world, tmp_path_factory):
    made = ProxyGate(tmp_path_factory.mktemp("gate"), world)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser(gate, tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("browser"), gate.proxy, gate.authority)
    yield made
    made.stop()


def test_a_page_with_all_its_parts(browser, world):
    assert "errorText" not in browser.go("https://hub.test/demo/clean")
    assert browser.value("document.title") == "hub demo/clean"
    # The script has run, the image is decoded, the style counts.
    seen = browser.value("new Promise(done => { const look = () => document.body.dataset.seen ? done(document.body.dataset.seen) : setTimeout(look, 20); look(); })")
    assert seen == "7x5 rgb(1, 2, 3)"
    answers = [event["params"]["response"] for event in browser.events if event["method"] == "Network.responseReceived"]
    assert {answer["url"].rsplit("/", 1)[-1] for answer in answers} >= {"clean", "app.js", "app.css", "logo.png"}
    # HTTP/1.1 although hub and browser speak h2, and no word of HTTP/3.
    assert all(answer["protocol"] == "http/1.1" for answer in answers)
    assert not any("alt-svc" in map(str.lower, answer["headers"]) for answer in answers)


def test_a_download_byte_for_byte(browser, samples):
    browser.go("https://hub.test/demo/clean")
    browser.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(browser.downloads))
    browser.value("document.getElementById('file').click()")
    begun = browser.wait_for("Page.downloadWillBegin")
    browser.wait_for("Page.downloadProgress", guid=begun["guid"], state="completed")
    assert (browser.downloads / "model.safetensors").read_bytes() == samples["demo/clean"]["model.safetensors"]


def test_a_poisoned_file_is_a_page_that_says_why(browser, gate):
    browser.go("https://hub.test/demo/poisoned-pickle")
    browser.events.clear()
    browser.value("document.getElementById('pickle').click()")
    browser.wait_for("Page.loadEventFired")
    text = browser.value("document.body.innerText")
    assert "This does not pass the gate" in text and "model.pkl" in text and "os.system" in text, text
    reference = text.split("Reference: ")[1].strip()
    assert any(line.get("id") == reference for line in gate.audit_lines()), text
    assert not list(browser.downloads.glob("*.pkl"))


def test_a_refused_download_attribute_leaves_no_file(browser):
    """No browser shows what a download is refused with: it fails, and there is no file."""
    browser.go("https://hub.test/demo/poisoned-pickle")
    browser.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(browser.downloads))
    browser.value("(() => { const link = document.getElementById('pickle'); link.download = 'model.pkl'; link.click(); })()")
    begun = browser.wait_for("Page.downloadWillBegin")
    browser.wait_for("Page.downloadProgress", guid=begun["guid"], state="canceled")
    assert not list(browser.downloads.glob("*.pkl*"))


def test_websockets_go_nowhere(browser, gate):
    browser.go("https://hub.test/demo/clean")
    code = browser.value("new Promise(done => { const socket = new WebSocket('wss://hub.test/socket'); socket.onopen = () => done('open'); socket.onclose = event => done(event.code); })")
    assert code == 1006
    assert gate.wait_for(lambda: gate.decisions("upgrade-refused"))


def test_an_authority_that_is_not_trusted(gate, world, tmp_path):
    """The same browser with another authority in its store."""
    other = Browser(tmp_path / "browser", gate.proxy, world.certificates / "ca.pem")
    try:
        assert other.go("https://hub.test/demo/clean")["errorText"] == "net::ERR_CERT_AUTHORITY_INVALID"
    finally:
        other.stop()
    assert gate.wait_for(lambda: [line for line in gate.audit_lines() if line["event"] == "client-tls-failed"])
