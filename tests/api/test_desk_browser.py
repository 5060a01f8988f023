"""The pages in a real browser, at a desk's width and at a phone's: what a manager does in a week."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from api.access import Role, make_key
from api.prices.service import Desk
from tests.api.browser import chromium, listening, opened
from tests.api.desk import desk_of

SIZES = ((1280, "en-GB"), (390, "es-ES"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_of(tmp_path)


@pytest.fixture
def base(desk: Desk) -> Iterator[str]:
    with listening(desk) as found:
        yield found


def _shot(page: Page, name: str, *, full: bool = False) -> None:
    """Keep a picture to look at, where somebody asked for them."""
    folder = os.environ.get("TARIFA_SCREENSHOTS")
    if folder:
        width = page.viewport_size["width"] if page.viewport_size else 0
        page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=full, caret="initial")


def _offer(page: Page) -> None:
    page.goto("/desk")
    _shot(page, "empty")
    page.locator("main form button").click()
    expect(page.locator("table.items")).to_be_visible()


def _no_wider_than_its_window(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


@pytest.mark.parametrize(("width", "language"), SIZES)
def test_a_week_of_a_manager(browser: Browser, base: str, width: int, language: str) -> None:
    with opened(browser, base, width, language) as (page, wrong):
        _offer(page)
        _shot(page, "list")
        _no_wider_than_its_window(page)
        assert page.locator("html").get_attribute("lang") == language[:2]
        first = page.locator("tbody.item").nth(0)
        name = first.locator(".name a").inner_text()
        first.locator("button.yes").click()
        expect(page.locator("tbody.item").nth(0)).to_have_class(re.compile("approved"))
        expect(page.locator("#said")).to_contain_text(name)
        expect(page.locator("tbody.item").nth(0).locator(".do button").first).to_be_focused()
        second = page.locator("tbody.item").nth(1)
        second.locator("[data-more]").click()
        price = second.locator("input[name=price]")
        price.fill("0,99" if language == "es-ES" else "0.99")
        expect(second.locator("input[name=accept]").first).to_be_visible()
        _shot(page, "panel")
        _no_wider_than_its_window(page)
        second.locator(".refuse input[name=reason]").fill("promo")
        second.locator(".refuse button").click()
        expect(page.locator("tbody.item").nth(1)).to_have_class(re.compile("rejected"))
        page.locator("#bulk button[value=approve]").click()
        expect(page.locator(".preview")).to_be_focused()
        _shot(page, "preview")
        _no_wider_than_its_window(page)
        page.locator(".preview button.main").click()
        expect(page.locator("#preview .done")).to_be_visible()
        settled = (
            "Ya no queda nada pendiente." if language == "es-ES" else "Nothing waits for anybody any more."
        )
        expect(page.locator(".nothing")).to_contain_text(settled)
        _shot(page, "done")
        assert wrong == []


@pytest.mark.parametrize(("width", "language"), SIZES)
def test_a_products_page_draws_what_is_known(browser: Browser, base: str, width: int, language: str) -> None:
    with opened(browser, base, width, language) as (page, wrong):
        _offer(page)
        page.locator(".items .name a").nth(0).click()
        expect(page.locator(".chart canvas")).to_have_count(3)
        _shot(page, "product", full=True)
        _no_wider_than_its_window(page)
        drawn = page.locator(".chart canvas").nth(0).screenshot(caret="initial")
        page.locator("input[name=price]").fill(page.locator(".plain-table tbody th").nth(8).inner_text())
        expect(page.locator("[data-own]")).to_be_visible()
        page.wait_for_timeout(100)
        assert (
            page.locator(".chart canvas").nth(0).screenshot(caret="initial") != drawn
        )  # the own price is marked
        page.locator(".chart .u-over").nth(0).hover()
        expect(page.locator(".chart .read").nth(0)).to_contain_text("…")
        page.locator(".decide .own input[name=reason]").fill("round")
        _shot(page, "own", full=True)
        page.locator(".decide .own button").click()
        expect(page.locator(".told li")).to_have_count(1)
        page.emulate_media(media="print")
        expect(page.locator(".decide").first).to_be_hidden()
        _shot(page, "print", full=True)
        page.emulate_media(media="screen")
        page.locator("[data-back]").click()
        expect(page.locator("table.items")).to_be_visible()
        page.goto("/desk/readiness")
        _shot(page, "readiness")
        _no_wider_than_its_window(page)
        assert wrong == []


def test_two_reviewers_and_one_proposal(browser: Browser, base: str) -> None:
    with opened(browser, base, 1280, "en-GB") as (one, _), opened(browser, base, 1280, "en-GB") as (two, _):
        _offer(one)
        two.goto("/desk")
        one.locator("button.yes").nth(0).click()
        expect(one.locator("tbody.item.approved")).to_have_count(1)
        two.locator("button.yes").nth(0).click()
        expect(two.locator("tbody.item.stale [role=alert]")).to_contain_text("somebody else decided")
        expect(two.locator("tbody.item.stale")).to_have_class(re.compile("approved"))
        _shot(two, "stale")


def test_filters_sorts_and_the_back_button(browser: Browser, base: str) -> None:
    with opened(browser, base, 1280, "en-GB") as (page, wrong):
        _offer(page)
        page.locator(".tab.every").click()
        expect(page).to_have_url(re.compile("state=all"))
        page.keyboard.press("Tab")
        page.locator("#search").press_sequentially("frying")
        expect(page.locator("tbody.item .name a")).to_have_count(8)
        expect(page.locator("#search")).to_be_focused()
        expect(page).to_have_url(re.compile("state=all.*search=frying"))
        page.locator("thead a", has_text="Product").click()
        expect(page.locator("th[aria-sort=ascending]")).to_have_text("Product")
        page.locator("select[name=identified_by]").select_option("not_identified")
        expect(page.locator("tbody.item .evidence").first).to_have_class(re.compile("not_identified"))
        shown = page.locator("tbody.item .name a").all_inner_texts()
        page.reload()
        assert page.locator("tbody.item .name a").all_inner_texts() == shown
        assert page.locator("#search").input_value() == "frying"
        page.locator("tbody.item .name a").nth(0).click()
        page.go_back()
        expect(page.locator("tbody.item .name a").first).to_have_text(shown[0])
        assert wrong == []


def test_ticks_choose_what_a_bulk_review_is_about(browser: Browser, base: str) -> None:
    with opened(browser, base, 1280, "en-GB") as (page, wrong):
        _offer(page)
        page.locator("tbody.item input[type=checkbox]").nth(0).check()
        page.locator("tbody.item input[type=checkbox]").nth(2).check()
        expect(page.locator("#ticked")).to_have_text("2")
        page.locator("#bulk button[value=approve]").click()
        expect(page.locator(".preview h2")).to_have_text("Approve 2 proposals?")
        page.locator(".preview [data-close]").click()
        expect(page.locator(".preview")).to_have_count(0)
        page.locator("#every").check()
        page.locator("#bulk input[name=reason]").fill("not this week")
        page.locator("#bulk button[value=reject]").click()
        expect(page.locator(".preview h2")).to_have_text(re.compile(r"Reject \d\d proposals\?"))
        page.locator(".preview button.main").click()
        expect(page.locator("#preview .done")).to_contain_text("rejected")
        assert wrong == []


def test_signing_in_and_out(browser: Browser, base: str, desk: Desk) -> None:
    key = make_key(desk.store.database, "ana", Role.MANAGER)
    with opened(browser, base, 390, "es-ES") as (page, _):
        page.goto("/desk")
        expect(page.locator("input[name=key]")).to_be_focused()
        _shot(page, "sign-in")
        page.keyboard.type("tarifa_wrong")
        page.keyboard.press("Enter")
        expect(page.locator("[role=alert]")).to_be_visible()
        page.locator("input[name=key]").fill(key)
        page.keyboard.press("Enter")
        page.locator("main form button").click()
        expect(page.locator("table.items")).to_be_visible()
        assert page.evaluate("document.cookie") == ""
        page.locator(".languages button[value=en]").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        page.locator(".out button").click()
        expect(page.locator("input[name=key]")).to_be_visible()


def test_many_are_approved_for_later_and_the_page_says_at_once_that_it_works(
    browser: Browser, base: str
) -> None:
    with opened(browser, base, 1280, "en-GB") as (page, wrong):
        _offer(page)
        page.locator(".bulk summary").click()
        page.locator(".bulk input[name=starts_at]").fill("2024-01-05T06:00")
        _shot(page, "later")
        page.locator("#bulk button[value=approve]").click()
        expect(page.locator(".preview")).to_contain_text("Published not before 5 January 2024, 06:00.")
        page.route("**/desk/bulk", lambda _: None)  # as if it took for ever
        page.locator(".preview button.main").click()
        expect(page.locator("#said")).to_contain_text("Approving")
        expect(page.locator(".preview button.main")).to_be_disabled()
        expect(page.locator("#busy")).to_be_visible()
        assert wrong == []


def test_a_panel_opens_and_closes_and_says_so(browser: Browser, base: str) -> None:
    with opened(browser, base, 1280, "en-GB") as (page, wrong):
        _offer(page)
        more = page.locator("[data-more]").nth(0)
        more.focus()
        page.keyboard.press("Enter")
        expect(page.locator(".panel-in")).to_be_visible()
        expect(more).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("Enter")
        expect(page.locator(".panel-in")).to_be_hidden()
        expect(more).to_have_attribute("aria-expanded", "false")
        expect(more).to_be_focused()
        page.locator(".tab.every").click(modifiers=["Control"])  # into a page of its own, as on any link
        expect(page).to_have_url(re.compile("/desk$"))
        assert wrong == []


def test_without_scripts_everything_can_be_decided(browser: Browser, base: str) -> None:
    context = browser.new_context(base_url=base, java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    _offer(page)
    page.locator("#search").fill("frying")
    page.locator("button.noscript").click()
    expect(page).to_have_url(re.compile("search=frying.*state=pending"))
    shown = page.locator("tbody.item .name a").all_inner_texts()
    assert shown
    assert all(name.startswith("Frying") for name in shown)
    expect(page.locator("[data-more]").first).to_be_hidden()
    page.locator("button.yes").first.click()
    expect(page.locator("#product .pill.approved")).to_be_visible()
    page.goto("/desk?state=pending&search=frying")
    page.locator("#bulk button[value=approve]").click()
    expect(page.locator(".preview h2")).to_have_text(f"Approve {len(shown) - 1} proposals?")
    _shot(page, "no-script")
    page.locator(".preview button.main").click()
    page.goto("/desk?state=approved")
    expect(page.locator("tbody.item.approved")).to_have_count(len(shown))
    context.close()
