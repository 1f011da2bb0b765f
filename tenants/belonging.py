"""Models of who is let in where: log-ins, invitations, changes of role, suspensions, and the sessions in which staff has its powers."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Lower

from signalist.clock import utc_now
from tenants.doors import required
from tenants.rows import TenantManager, TenantRow


class LoginSession(models.Model):
    """A log-in that stands: which device, from where, when last seen. `digest` stands for the session's key on pages and in events."""

    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="login_sessions")
    session_key = models.CharField(max_length=40, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField(default=utc_now)
    seen_at = models.DateTimeField(default=utc_now)

    class Meta:
        indexes = [models.Index(fields=["user", "seen_at"], name="login_session_by_user")]

    def __str__(self) -> str:
        return f"session of {self.user_id} since {self.started_at:%F %T}"


class InvitationManager(TenantManager[Any]):
    """Who holds the link sees the one invitation that it is about."""

    def get_queryset(self) -> Any:
        token = required().token
        return models.QuerySet(self.model, using=self._db).filter(token_hash=token) if token else super().get_queryset()


class Invitation(TenantRow):
    """Somebody is asked to join, by e-mail. The link's token is kept as a hash alone; `workspace` is the name that the guest is told."""

    tenant_policy: ClassVar[str] = (
        "tenant_id = {tenant} OR token_hash = NULLIF(current_setting('app.invitation', true), '')"
    )

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(max_length=255)
    role = models.CharField(max_length=10)
    workspace = models.CharField(max_length=100)
    token_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey("tenants.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=utc_now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey("tenants.User", null=True, on_delete=models.SET_NULL, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)

    objects: ClassVar[InvitationManager] = InvitationManager()

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(
                "tenant",
                Lower("email"),
                condition=models.Q(accepted_at__isnull=True, withdrawn_at__isnull=True),
                name="invitation_open_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.tenant_id}"


class RoleChange(TenantRow):
    """A change of a member's role, as it was asked for and decided (ACC-23). PENDING ones wait for another administrator."""

    class State(models.TextChoices):
        PENDING = "PENDING"
        APPROVED = "APPROVED"
        REFUSED = "REFUSED"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    membership = models.ForeignKey("tenants.Membership", on_delete=models.CASCADE, related_name="role_changes")
    before = models.CharField(max_length=10)
    after = models.CharField(max_length=10)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    asked_by = models.ForeignKey("tenants.User", null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField(default=utc_now)
    decided_by = models.ForeignKey("tenants.User", null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["membership"], condition=models.Q(state="PENDING"), name="role_change_pending_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.before} to {self.after}"


class Suspension(models.Model):
    """A user is shut out by staff, until it is lifted (ACC-22). Their positions stay protected."""

    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="suspensions")
    reason = models.CharField(max_length=200)
    by = models.ForeignKey("tenants.User", null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(default=utc_now)
    lifted_by = models.ForeignKey("tenants.User", null=True, on_delete=models.SET_NULL, related_name="+")
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=models.Q(lifted_at__isnull=True), name="suspension_in_force_once"
            )
        ]

    def __str__(self) -> str:
        return f"suspension of {self.user_id}"


class StaffSession(models.Model):
    """A stretch of time in which a member of staff has their powers: why, from when, until when at the latest."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="staff_sessions")
    reason = models.CharField(max_length=200)
    login = models.CharField(max_length=64)
    started_at = models.DateTimeField(default=utc_now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"powers of {self.user_id} until {self.expires_at:%F %T}"
