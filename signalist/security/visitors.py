"""What a request tells of who is behind it: from where, with which device."""

from __future__ import annotations

import hashlib
import ipaddress
import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from signalist.audit.origin import AGENT_LENGTH, client_address

COOKIE, _SALT = "device", "signalist.security.device"
A_YEAR = 365 * 24 * 3600
_PROGRAMS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"))


@dataclass(frozen=True, slots=True)
class Visitor:
    """`place`: a country where a trusted proxy tells it, else the network. `device`: a fingerprint, "" for one that was never here."""

    address: str
    agent: str
    place: str
    device: str

    @property
    def network(self) -> str:
        """As what the address is counted."""
        return network_of(self.address)

    @classmethod
    def of(cls, request: HttpRequest) -> Visitor:
        address = client_address(request)
        known = device_of(request)
        return cls(
            address,
            str(request.META.get("HTTP_USER_AGENT", ""))[:AGENT_LENGTH],
            place_of(request, address),
            hashlib.sha256(known.encode()).hexdigest()[:32] if known else "",
        )


def network_of(address: str) -> str:
    """As what an address is counted and banned: itself, or of IPv6 the /64, which is what one customer has (RFC 6177; BCOP 690)."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


def place_of(request: HttpRequest, address: str) -> str:
    """The country that the proxy tells, where one is trusted to; else the network: a person's address changes within it every day."""
    country = request.headers.get(settings.COUNTRY_HEADER, "") if settings.COUNTRY_HEADER else ""
    if settings.ALLAUTH_TRUSTED_PROXY_COUNT and len(country) == 2 and country.isalpha():
        return country.upper()
    if not address:
        return ""
    prefix = 16 if ipaddress.ip_address(address).version == 4 else 32
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))


def device_of(request: HttpRequest) -> str:
    """The name that this browser was given at an earlier log-in; "" where it has none, or one that is not of our making."""
    given: str = getattr(request, "new_device", "")
    return given or str(request.get_signed_cookie(COOKIE, default="", salt=_SALT, max_age=A_YEAR))


def name_device(request: Any) -> None:
    """Give the browser a name, unless it has one; the middleware puts it into the answer."""
    if not device_of(request):
        request.new_device = uuid.uuid4().hex


def put_name(request: HttpRequest, response: Any) -> None:
    """Put the new name of the browser, if it has got one, into the answer."""
    if given := getattr(request, "new_device", ""):
        response.set_signed_cookie(
            COOKIE,
            given,
            salt=_SALT,
            max_age=A_YEAR,
            httponly=True,
            samesite="Lax",
            secure=bool(settings.SESSION_COOKIE_SECURE),
        )


def agent_words(agent: str) -> str:
    """A program's own description in two words, as people know it."""
    program = next((name for mark, name in _PROGRAMS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "Linux" if "Linux" in agent else "")
    return f"{program or 'a program'} on {system}" if system else program or (agent[:40] or "unknown")
