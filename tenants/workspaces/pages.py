"""Pages of a workspace's people, and the way in by an invitation."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.utils import filter_users_by_email
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants.access import MemberRequest, member, needs, require
from tenants.belonging import Invitation, RoleChange
from tenants.grants import Grant, kinds
from tenants.models import Membership, Role
from tenants.permissions import PERMISSIONS, permits
from tenants.step_up import ask_password, stepped_up
from tenants.workspaces.forms import InvitationForm
from tenants.workspaces.invitations import NotInvited, accept, found, invite, withdraw
from tenants.workspaces.roles import NotChanged, change_role, decide, remove, transfer
from tenants.workspaces.selectors import people
from tenants.workspaces.sharing import NotShared, all_given, may_share, share, take

WORDS = "Changing who may do what wants a proof that it is you. Nothing was done yet: do it once more."


@require_safe
@needs("members.view")
def members(request: MemberRequest, form: InvitationForm | None = None) -> HttpResponse:
    """Who is in the workspace, who is invited, what waits for approval."""
    context = {
        "section": "members",
        "people": people(),
        "form": form or InvitationForm(),
        "may_invite": permits(request.membership, "members.invite"),
        "may_change": permits(request.membership, "members.change"),
        "grants": all_given(request.membership),
        "roles": Role,
    }
    return render(request, "tenants/workspaces/members.html", context)


@require_safe
@member
def permissions(request: MemberRequest) -> HttpResponse:
    """The table of what each role may do."""
    context = {"section": "members", "permissions": PERMISSIONS.values(), "roles": Role}
    return render(request, "tenants/workspaces/permissions.html", context)


@require_POST
@needs("members.invite")
def invite_somebody(request: MemberRequest) -> HttpResponse:
    """Send an invitation."""
    form = InvitationForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Give a whole e-mail address, and choose a role.")
        return redirect("members")
    link = request.build_absolute_uri(reverse("invitation", args=["TOKEN"]))
    email = form.cleaned_data["email"]
    return _done(
        request,
        lambda: invite(request.membership, email, form.cleaned_data["role"], link),
        f"An invitation is on its way to {email}. It works for seven days, once.",
    )


@require_POST
@needs("members.invite")
def withdraw_invitation(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """End an invitation's link."""
    invitation = get_object_or_404(Invitation, public_id=public_id)
    return _done(
        request, lambda: withdraw(request.membership, invitation), "The invitation's link opens nothing any more."
    )


@require_POST
@needs("members.change")
def set_role(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Change a member's role."""
    row, role = _member(public_id), request.POST.get("role", "")

    def change() -> str:
        asked = change_role(request.membership, row, role)
        if asked.state == RoleChange.State.PENDING:
            return "It waits until another administrator approves it."
        return f"{row.user.email} is {Role(role).label.lower()} now."

    return _done(request, change)


@require_POST
@needs("members.change")
def decide_role(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Approve or refuse a change of role that waits."""
    change = get_object_or_404(RoleChange, public_id=public_id)
    approve = request.POST.get("answer") == "approve"
    words = "Approved, and in force." if approve else "Refused. The role stays as it was."
    return _done(request, lambda: decide(request.membership, change, approve=approve), words)


@require_POST
@needs("members.change")
def remove_member(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take somebody out of the workspace."""
    row = _member(public_id)
    return _done(request, lambda: remove(request.membership, row), f"{row.user.email} is out, from now on.")


@require_POST
@needs("workspace.transfer")
def hand_over(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Hand the workspace over to another administrator."""
    row = _member(public_id)
    return _done(request, lambda: transfer(request.membership, row), f"The workspace belongs to {row.user.email} now.")


@require_POST
@member
def share_thing(request: MemberRequest, kind: str, public_id: uuid.UUID) -> HttpResponse:
    """Give a member a right to one thing: of an account an administrator, of a strategy its author."""
    model: Any = _table(kind)
    thing = get_object_or_404(model._meta.get_field("content_object").related_model, public_id=public_id)
    if not may_share(request.membership, thing):
        if hasattr(thing, "author_id"):
            raise Http404("There is no such thing of yours.")
        require(request, "members.change")
    right, member_id = request.POST.get("right", ""), _uuid(request.POST.get("member", ""))

    def give() -> str:
        if member_id is None:
            raise NotShared("Choose with whom, and what they may.")
        made = share(request.membership, thing, member_id, right)
        return f"{thing.name} is shared with {made.user.email}: {made.right.words.lower()}."

    return _done(request, give)


@require_POST
@member
def unshare(request: MemberRequest, kind: str, public_id: uuid.UUID) -> HttpResponse:
    """Take a right to one thing back."""
    rows = _table(kind).objects.select_related("user", "permission", "content_object")
    row = get_object_or_404(rows, public_id=public_id)
    if not may_share(request.membership, row.content_object):
        require(request, "members.change")
    return _done(request, lambda: take(request.membership, row), f"Taken back from {row.user.email}.")


def _table(kind: str) -> type[Grant]:
    found = kinds().get(kind)
    if found is None:
        raise Http404("There is nothing of that kind to share.")
    return found


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


@require_POST
@member
def leave(request: MemberRequest) -> HttpResponse:
    """Leave the workspace."""
    try:
        remove(request.membership, request.membership)
    except NotChanged as problem:
        messages.error(request, str(problem))
        return redirect("members")
    request.session.pop("tenant", None)
    messages.success(request, f"You have left {request.tenant.name}.")
    return redirect("dashboard")


@require_POST
@member
def switch(request: MemberRequest) -> HttpResponse:
    """Go to another of one's workspaces; another's is no workspace of one's own, and changes nothing."""
    wanted = request.POST.get("tenant", "")
    if any(str(own.tenant.public_id) == wanted for own in request.memberships):
        request.session["tenant"] = wanted
    return redirect("dashboard")


@require_http_methods(["GET", "POST"])
def invitation(request: Any, token: str) -> HttpResponse:
    """What the link of an invitation opens: for members-to-be who are known here, and for those who are not."""
    row = found(token)
    context: dict[str, Any] = {"invitation": row, "here": request.path, "role": row and Role(row.role).label}
    if row is None:
        return render(request, "tenants/workspaces/invitation.html", context, status=410)
    if request.method == "POST" and request.user.is_authenticated:
        try:
            joined = accept(token, request.user)
        except NotInvited as problem:
            messages.error(request, str(problem))
            return redirect("invitation", token)
        request.session["tenant"] = str(joined.tenant.public_id)
        request.session.pop("invitation", None)
        messages.success(request, f"Welcome to {row.workspace}.")
        return redirect("dashboard")
    if request.user.is_authenticated:
        context["is_theirs"] = request.user.email.lower() == row.email.lower()
    else:
        # Who holds the link reads the mail of that address, so a sign-up with it needs no other proof.
        get_adapter(request).stash_verified_email(request, row.email)
        request.session["invitation"] = row.email
        context["is_known"] = bool(filter_users_by_email(row.email))
    return render(request, "tenants/workspaces/invitation.html", context)


def _member(public_id: uuid.UUID) -> Membership:
    return get_object_or_404(Membership.objects.select_related("user"), user__public_id=public_id, is_active=True)


def _done(request: MemberRequest, action: Callable[[], object], words: str = "") -> HttpResponse:
    """Do it, after stepping up, and say what came of it on the page of members."""
    if not stepped_up(request):
        return ask_password(request, reverse("members"), WORDS)
    try:
        said = action()
    except (NotChanged, NotInvited, NotShared) as problem:
        messages.error(request, str(problem))
    else:
        messages.success(request, words or str(said))
    return redirect("members")
