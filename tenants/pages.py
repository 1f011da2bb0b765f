"""Pages of people about themselves: profile, theme, and what to do without a workspace."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from signalist.accounts.actions import welcome
from tenants.access import MemberRequest, member
from tenants.actions import THEMES, change_profile, choose_theme
from tenants.forms import ProfileForm

A_YEAR = 365 * 24 * 3600


@require_http_methods(["GET", "POST"])
@member
def profile(request: MemberRequest) -> HttpResponse:
    """Name, time zone and theme."""
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        change_profile(request.user, form.cleaned_data["full_name"], form.cleaned_data["time_zone"])
        messages.success(request, "Profile saved.")
        return redirect("profile")
    return render(request, "tenants/profile.html", {"section": "profile", "form": form, "themes": THEMES})


@require_POST
def theme(request: Any) -> HttpResponse:
    """Choose a theme; remembered for the browser, and for the user once logged in."""
    wanted = request.POST.get("theme", "")
    if wanted not in THEMES:
        wanted = "system"
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    response = redirect(back if safe else "landing")
    response.set_cookie("theme", wanted, max_age=A_YEAR, samesite="Lax", secure=request.is_secure(), httponly=True)
    if request.user.is_authenticated:
        choose_theme(request.user, wanted)
    return response


@require_http_methods(["GET", "POST"])
@login_required
def workspace_missing(request: HttpRequest) -> HttpResponse:
    """For a person without a workspace: open one of their own."""
    if getattr(request, "tenant", None) is not None:
        return redirect("dashboard")
    if request.method == "POST":
        assert request.user.is_authenticated
        welcome(request.user)
        return redirect("dashboard")
    return render(request, "tenants/workspace_missing.html")
