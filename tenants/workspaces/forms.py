"""The form that invites somebody."""

from __future__ import annotations

from django import forms

from tenants.workspaces.invitations import GUEST_ROLES


class InvitationForm(forms.Form):
    """Whom, and as what."""

    email = forms.EmailField(max_length=255, label="E-mail address")
    role = forms.ChoiceField(choices=[(role.value, role.label) for role in GUEST_ROLES], label="Role")
