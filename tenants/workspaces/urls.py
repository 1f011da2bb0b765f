"""Addresses of a workspace's people."""

from __future__ import annotations

from django.urls import path

from tenants.workspaces import pages

urlpatterns = [
    path("workspace/members/", pages.members, name="members"),
    path("workspace/permissions/", pages.permissions, name="permissions"),
    path("workspace/invite/", pages.invite_somebody, name="invite"),
    path("workspace/invitations/<uuid:public_id>/withdraw/", pages.withdraw_invitation, name="withdraw_invitation"),
    path("workspace/members/<uuid:public_id>/role/", pages.set_role, name="set_role"),
    path("workspace/members/<uuid:public_id>/remove/", pages.remove_member, name="remove_member"),
    path("workspace/members/<uuid:public_id>/owner/", pages.hand_over, name="hand_over"),
    path("workspace/role-changes/<uuid:public_id>/", pages.decide_role, name="decide_role"),
    path("workspace/share/<slug:kind>/<uuid:public_id>/", pages.share_thing, name="share"),
    path("workspace/grants/<slug:kind>/<uuid:public_id>/end/", pages.unshare, name="unshare"),
    path("workspace/leave/", pages.leave, name="leave_workspace"),
    path("workspace/switch/", pages.switch, name="switch_workspace"),
    path("invitations/<str:token>/", pages.invitation, name="invitation"),
]
