"""A login before every page, where the secrets ask for one; tried at a provider on this machine too."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from tests.support.browsing import settle
from tests.support.serving import ROOT, free_port, served
from tests.support.waiting import until

AUTH = {"client_id": "explorer", "client_secret": "s", "redirect_uri": "http://localhost/oauth2callback"}


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def shown(app: AppTest) -> tuple[list[str], list[str]]:
    """Titles and the labels of buttons."""
    return [each.value for each in app.title], [each.label for each in app.button]


@pytest.mark.parametrize("user", [{}, {"is_logged_in": False}, {"is_logged_in": "no", "email": "a@b.c"}])
def test_nobody_sees_a_page_before_the_login(app: AppTest, user: dict[str, Any]) -> None:
    app.secrets["auth"] = AUTH
    app.user = user
    app.query_params["find"] = "![x](http://127.0.0.1/x.png)"
    assert shown(app.run()) == (["MatGen Explorer"], ["Log in"])
    for name in ("latent_map", "compositions", "validate", "trust"):
        assert shown(app.switch_page(f"pages/{name}.py").run()) == (["MatGen Explorer"], ["Log in"])
    assert not app.exception
    assert not app.selectbox


def test_each_page_asks_for_itself() -> None:
    """A folder `pages` is Streamlit's older way to have pages, in which app.py is passed by."""
    for file in sorted((ROOT / "pages").glob("[a-z]*.py")):
        alone = AppTest.from_file(str(file), default_timeout=60)
        alone.secrets["auth"] = AUTH
        assert shown(alone.run()) == (["MatGen Explorer"], ["Log in"]), file.name
        assert not alone.exception


def test_each_provider_has_its_button(app: AppTest) -> None:
    app.secrets["auth"] = {"cookie_secret": "c", "orcid": AUTH, "university": AUTH}
    assert shown(app.run())[1] == ["Log in with orcid", "Log in with university"]


def test_who_is_logged_in_sees_every_page_and_can_leave(app: AppTest) -> None:
    app.secrets["auth"] = AUTH
    app.user = {"is_logged_in": True, "email": "ada@example.org"}
    assert "Log in" not in shown(app.run())[1]
    assert shown(app.switch_page("pages/trust.py").run())[0] == ["Trust"]


def test_secrets_that_cannot_be_read_let_nobody_in(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secrets.toml").write_text("[auth\nclient_id = 1")
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(tmp_path / "secrets.toml")])
    try:
        app.run()
    finally:
        config.set_option("secrets.files", before)
    assert [each.value.partition(",")[0] for each in app.error] == ["The secrets of this server cannot be read"]
    assert shown(app) == ([], [])
    assert "secrets.toml" in caplog.text


@contextmanager
def provider() -> Iterator[str]:
    """A provider that lets everybody in who types a name; its address."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert running.poll() is None
        try:
            with urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    try:
        assert until(answers)
        yield address
    finally:
        running.kill()
        running.wait(timeout=20)


@pytest.fixture
def visitor(browser: Any) -> Iterator[Any]:
    """A page that reaches this machine alone; the provider's own pages ask for a style sheet from elsewhere."""
    context = browser.new_context()
    here = ("http://127.0.0.1:", "data:", "blob:")
    context.route("**/*", lambda route: route.continue_() if route.request.url.startswith(here) else route.abort())
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


@pytest.mark.browser
def test_a_visitor_logs_in_at_a_provider_and_out_again(visitor: Any, tmp_path: Path) -> None:
    enter = visitor.get_by_role("button", name="Log in", exact=True)
    pages = visitor.get_by_role("link", name="Latent map")
    trust = visitor.get_by_role("heading", name="Trust", level=1)
    with provider() as issuer:
        secrets = tmp_path / "secrets.toml"
        secrets.write_text(f"""[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "only-for-this-test-0123456789abcdef"
client_id = "explorer"
client_secret = "not-a-secret"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
""")
        with served(ROOT / "app.py", STREAMLIT_SECRETS_FILES=str(secrets)) as address:
            visitor.goto(f"{address}/trust")
            enter.wait_for()
            assert not trust.count()
            assert not pages.count()
            enter.click()
            visitor.wait_for_url(f"{issuer}/**")
            visitor.locator("input[name=sub]").fill("ada")
            visitor.get_by_role("button", name="Authorize").click()
            pages.first.wait_for()
            visitor.goto(f"{address}/trust")
            settle(visitor, "Trust")
            visitor.get_by_role("link", name="Log out").click()
            visitor.wait_for_url(f"{issuer}/**")
            visitor.goto(f"{address}/trust")
            enter.wait_for()
            assert not trust.count()
