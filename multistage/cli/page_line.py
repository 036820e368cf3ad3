"""The line that says where a sweep's page is."""

from typing import TYPE_CHECKING

from multistage.errors import ServiceError
from multistage.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console


def print_page(console: "Console", uid: str) -> bool:
    """Say where a sweep's page is: on a terminal, which keeps nothing, by a link that logs a browser in for an hour.

    Args:
        console: Where to print.
        uid: The sweep.

    Returns:
        Whether there is a page, on a server that runs.
    """
    from multistage.services.sweep_pages import find_sweep_page, make_page_link

    settings = Settings()
    try:
        page = find_sweep_page(settings, uid)
        link = make_page_link(settings, uid) if page and console.is_terminal else ""
    except ServiceError:
        return False  # as the driver warns
    if page is None:
        return False
    more = "" if link else " (`multistage-sweep up` on a terminal shows how to log in)"
    console.print(f"Watch it: {link or page.address}{more}", highlight=False, soft_wrap=True, markup=False)
    return True
