"""Users, tenants (workspaces), memberships with a role, and sealed credentials."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower

from signalist.clock import utc_now
from signalist.db.fields import ExactDecimalField
from tenants import belonging  # noqa: F401 models of this app, in a file of their own
from tenants.doors import required
from tenants.rows import TenantRow


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).strip(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. The e-mail is unique whatever its case; outside, a user is known by `public_id`. Trading is off until allowed."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(max_length=255, unique=True)
    username = models.CharField(max_length=50, unique=True, null=True, blank=True)
    full_name = models.CharField(max_length=100, blank=True)
    phone = models.CharField(max_length=20, blank=True)
    time_zone = models.CharField(max_length=50, default="UTC")
    preferences = models.JSONField(default=dict, blank=True)
    trading_enabled = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    joined_at = models.DateTimeField(default=utc_now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.email


class TenantsManager(models.Manager["Tenant"]):
    """Behind the door of one tenant only that tenant is seen."""

    def get_queryset(self) -> models.QuerySet[Tenant]:
        door = required()
        rows = super().get_queryset()
        if door.user_id is not None:
            memberships = Membership.objects.filter(user_id=door.user_id)
            return rows.filter(pk__in=memberships.values("tenant_id"))
        return rows if door.tenant_id is None else rows.filter(pk=door.tenant_id)


class Tenant(models.Model):
    """A workspace: what people share, and the line that no row crosses. Totals are shown in its base currency."""

    tenant_policy: ClassVar[str] = (
        "id = {tenant} OR id IN (SELECT tenant_id FROM tenants_membership WHERE user_id = {user})"
    )
    engine_policy: ClassVar[str] = "true"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100)
    base_currency = models.CharField(max_length=10, default="USD")
    created_at = models.DateTimeField(default=utc_now)

    objects: ClassVar[TenantsManager] = TenantsManager()

    class Meta:
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do; the table role × resource × action is the product's, this is the name (ACC-07)."""

    ADMIN = "ADMIN"
    TRADER = "TRADER"
    ANALYST = "ANALYST"
    READONLY = "READONLY"


class Membership(TenantRow):
    """A user in a tenant, with a role and personal trading limits (ACC-08). One ADMIN at most owns the workspace."""

    tenant_policy: ClassVar[str] = "tenant_id = {tenant} OR user_id = {user}"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.TRADER)
    is_owner = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    max_daily_trades = models.PositiveIntegerField(default=100)
    max_position_fraction = ExactDecimalField(default=Decimal("0.1"))
    created_at = models.DateTimeField(default=utc_now)

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="membership_unique"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
            models.UniqueConstraint(fields=["tenant"], condition=models.Q(is_owner=True), name="membership_one_owner"),
            models.CheckConstraint(
                condition=models.Q(is_owner=False) | models.Q(role=Role.ADMIN, is_active=True),
                name="membership_owner_is_admin",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.user_id} of {self.tenant_id}"


class Validity(models.TextChoices):
    """What the venue last said of a credential: UNKNOWN until it was asked."""

    UNKNOWN = "UNKNOWN"
    VALID = "VALID"
    INVALID = "INVALID"


class Credential(TenantRow):
    """A sealed secret for a venue. `sealed` maps field names to base64 of nonce and ciphertext; only `tenants.vault` opens it.

    `rights` are those that the venue reported, `egress` the address that it saw us come from, `checked_at` when it was last asked. One
    that was revoked stays as a row, with nothing sealed in it: what traded with it points there.
    """

    # The engine sees a secret only where an account uses it, and all of them to seal them anew or to revoke them.
    engine_policy: ClassVar[str] = (
        "EXISTS (SELECT 1 FROM accounts_account a WHERE a.credential_id = tenants_credential.id)"
        " OR current_setting('app.across', true) IN ('key rotation', 'mass revocation')"  # tenants.roles.KEYHOLDING
    )

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    venue = models.CharField(max_length=20)
    label = models.CharField(max_length=100)
    sealed = models.JSONField(default=dict)
    key_version = models.PositiveIntegerField()
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=utc_now)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    sealed_at = models.DateTimeField(default=utc_now)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_why = models.CharField(max_length=200, blank=True)
    validity = models.CharField(max_length=7, choices=Validity.choices, default=Validity.UNKNOWN)
    invalid_why = models.CharField(max_length=200, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    rights = models.JSONField(default=list)
    egress = models.CharField(max_length=45, blank=True)
    unsealed_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "venue", "label"],
                condition=models.Q(revoked_at__isnull=True),
                name="credential_label_unique",
            )
        ]
        indexes = [models.Index(fields=["key_version", "id"], name="credential_by_key")]

    def __str__(self) -> str:
        return f"{self.venue} {self.label}"
