"""The addresses of the site."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

admin.autodiscover()
# One door for everybody, with its limits on attempts: the admin's own log-in form would go round them.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", include("signalist.dashboard.urls")),
    path("", include("signalist.marketplace.urls")),
    path("", include("signalist.strategies.urls")),
    path("", include("signalist.trading.urls")),
    path("", include("signalist.execution.urls")),
    path("", include("signalist.markets.urls")),
    path("", include("signalist.risk.urls")),
    path("", include("signalist.audit.urls")),
    path("", include("signalist.security.urls")),
    path("", include("signalist.accounts.urls")),
    path("", include("signalist.api.urls")),
    path("", include("signalist.privacy.urls")),
    path("", include("tenants.urls")),
    path("", include("tenants.security.urls")),
    path("", include("tenants.workspaces.urls")),
    path("", include("tenants.staff.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]
