"""The settings: one file, read from the environment. Imported by nobody.

`SIGNALIST_ENV` chooses between development (default: works without any variable, keys are made once under var/) and production
(secrets and hosts are required, cookies and transport are secured).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from signalist import environment

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

PRODUCTION = environment.text("SIGNALIST_ENV", "development", choices=("development", "production")) == "production"
# Off by default even in development: what people see there is what they will see in production.
DEBUG = environment.boolean("SIGNALIST_DEBUG", False) and not PRODUCTION
# Set by the web process's entry point, where every request has a thread, and so a database connection, of its own.
WEB = environment.text("SIGNALIST_PROCESS", "") == "web"

# --- Secrets -----------------------------------------------------------------


def _secret(name: str, make: Callable[[], str]) -> str | None:
    """A secret as it is set; in development one made once on this machine stands in, which production refuses."""
    value, stand_in = environment.secret(name), VAR_DIR / name.lower()
    if not PRODUCTION:
        return value or environment.made_once(stand_in, make)
    if value and stand_in.exists() and value == environment.made_once(stand_in, make):
        raise environment.Misconfigured(f"Set {name} to a value of its own: this one was made for development.")
    return value


SECRET_KEY = environment.signing_secret("SECRET_KEY", _secret("SECRET_KEY", environment.new_signing_secret))
# Keys that signed and sealed before: what they opened still opens, nothing new is made with them.
SECRET_KEY_FALLBACKS = [key for key in (environment.secret("SECRET_KEY_FALLBACKS") or "").split(",") if key]
CREDENTIAL_KEYS = environment.keyring("CREDENTIAL_KEYS", _secret("CREDENTIAL_KEYS", environment.new_keyring))

# --- What Signalist may do ---------------------------------------------------

# Orders at real venues with real money. Nothing in this version asks for it to be true.
LIVE_ACCOUNTS_ALLOWED = environment.boolean("SIGNALIST_LIVE_ACCOUNTS", False)
# A loopback venue (play money, `signalist/venues/loopback/`) to which accounts may be connected; none by default.
LOOPBACK_URL = environment.web_address("SIGNALIST_LOOPBACK_URL", environment.text("SIGNALIST_LOOPBACK_URL", ""))
# Kraken. Accounts there are live, and offered only where those are allowed; at a server on this machine that speaks as Kraken does, which
# trades play money, they are offered in any case. Its prices are public.
KRAKEN_URL = environment.web_address(
    "SIGNALIST_KRAKEN_URL", environment.text("SIGNALIST_KRAKEN_URL", "https://api.kraken.com")
)
# The address by which this host reaches venues, by any name: a venue that bans an address bans all engines that share it, and no others.
EGRESS = environment.text("SIGNALIST_EGRESS", "here")
# An order by hand worth more than this wants the password again (EXE-29), and so does one of which no rate tells what it is worth.
STEP_UP_NOTIONAL = environment.integer("SIGNALIST_STEP_UP_NOTIONAL", 25_000, minimum=0)
STEP_UP_CURRENCY = environment.text("SIGNALIST_STEP_UP_CURRENCY", "USD").upper()

# Called by engines while candles are decided in time; whoever is called there raises the alarm when no call comes. Often a secret.
HEARTBEAT_URL = environment.web_address("HEARTBEAT_URL", environment.secret("HEARTBEAT_URL"))
# What every page calls the market whose prices it shows; "" for what engines and feeds say of themselves.
MARKET_NAME = environment.text("SIGNALIST_MARKET_NAME", "")
# For how many days closed candles are kept, by timeframe; what is not named is kept for ever.
CANDLE_DAYS = environment.counts("SIGNALIST_CANDLE_DAYS", ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "1d"))
# A folder into which old candles are written before they are let go; "" for none.
CANDLE_ARCHIVE = environment.text("SIGNALIST_CANDLE_ARCHIVE", "")
HEARTBEAT_EVERY = environment.integer("HEARTBEAT_EVERY", 60, minimum=5, maximum=3600)

# --- Applications ------------------------------------------------------------

INSTALLED_APPS = [
    # Only `runserver` needs it: with sockets, and all of Twisted, which takes a fifth of the start of any other command.
    *(["daphne"] if sys.argv[1:2] == ["runserver"] else []),
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "django_q",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.google",
    "allauth.mfa",
    "guardian",
    "tenants",
    "signalist.db",
    "signalist.display",
    "signalist.events",
    "signalist.audit",
    "signalist.security",
    "signalist.markets",
    "signalist.accounts",
    "signalist.strategies",
    "signalist.trading",
    "signalist.risk",
    "signalist.execution",
    "signalist.backtests",
    "signalist.dashboard",
    "signalist.marketplace",
    "signalist.live",
    "signalist.engine",
    "signalist.api",
    "signalist.downloads",
    "signalist.privacy",
]

AUTH_USER_MODEL = "tenants.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "signalist.urls"
ASGI_APPLICATION = "signalist.asgi.application"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "signalist.display.middleware.HeadersMiddleware",
    "signalist.display.middleware.MaintenanceMiddleware",
    "signalist.audit.middleware.OriginMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "signalist.security.middleware.LimitsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "signalist.security.middleware.HoldsMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "tenants.security.middleware.SessionsMiddleware",
    "tenants.middleware.TenantMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "signalist.display.context.shell",
                "signalist.markets.pages.shell.market",
            ],
        },
    },
]

# --- Database ----------------------------------------------------------------

_address = environment.database(environment.secret("DATABASE_URL") or f"sqlite:///{VAR_DIR / 'signalist.sqlite3'}")


def _sqlite(address: environment.Database) -> dict[str, Any]:
    # A deferred transaction that turns from reading to writing fails at once, whatever the timeout: hence IMMEDIATE. In WAL a commit
    # at NORMAL may be lost with the power, never torn; production keeps its orders and pays for FULL.
    synchronous = environment.text(
        "SIGNALIST_SQLITE_SYNCHRONOUS", "FULL" if PRODUCTION else "NORMAL", choices=("OFF", "NORMAL", "FULL", "EXTRA")
    )
    path = BASE_DIR / address.name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise environment.Misconfigured(
            f"Set DATABASE_URL to a file whose folder can be made: {path.parent} cannot ({error.strerror})."
        ) from None
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        # Opening the file anew costs more than most queries; a connection lives as long as its thread.
        "CONN_MAX_AGE": 0 if WEB else None,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "cached_statements": 1000,  # the same few hundred run all day; to prepare one anew costs more than to run it
            "init_command": (
                f"PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA busy_timeout=20000; "
                "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=67108864; PRAGMA cache_size=2000;"
            ),
        },
        # A file: connections of several threads and processes see one database, as they do outside the tests.
        "TEST": {"NAME": path.with_name("test.sqlite3")},
    }


def _postgresql(address: environment.Database) -> dict[str, Any]:
    role = environment.text("DATABASE_ROLE", "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": address.name,
        "USER": address.user,
        "PASSWORD": address.password,
        "HOST": address.host,
        "PORT": address.port,
        "CONN_MAX_AGE": 0 if WEB else 600,
        # A pool in the web process alone: the job runner forks, and forked children would share its sockets.
        # Statements are bound and prepared by the server: the same few run all day, and binding them here costs more than they do.
        # Every statement that runs all day has an index that serves it. A plan that was prepared while its table was small must not
        # go on as a scan when it is large; and no statement here runs long enough to be worth compiling.
        "OPTIONS": {
            "server_side_binding": True,
            "prepare_threshold": 3,
            # With a pool the role comes with the connection: taking it on afterwards, Django asks the pool for the very connection
            # that is being made, and waits for ever.
            "options": "-c enable_seqscan=off -c enable_mergejoin=off -c enable_hashjoin=off -c jit=off"
            + (f" -c role={role}" if role and WEB else ""),
            **({"assume_role": role} if role and not WEB else {}),
            **({"pool": {"min_size": 2, "max_size": 20, "timeout": 10}} if WEB else {}),
        },
    }


DATABASES = {"default": _sqlite(_address) if _address.vendor == "sqlite" else _postgresql(_address)}

# --- Log-in ------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = ACCOUNT_LOGOUT_REDIRECT_URL = "landing"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Signalist: "
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if PRODUCTION else "http"
ACCOUNT_SESSION_REMEMBER = None  # the log-in form asks
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_ADAPTER = "signalist.security.adapters.AtTheDoor"
ACCOUNT_EMAIL_NOTIFICATIONS = True
# How long what was proven once more holds for critical actions (ACC-06), in seconds.
ACCOUNT_REAUTHENTICATION_TIMEOUT = environment.integer("SIGNALIST_STEP_UP_SECONDS", 300, minimum=30, maximum=3600)
MFA_ADAPTER = "tenants.adapters.SecondFactors"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_TOLERANCE = 1  # a clock may be half a minute wrong
SESSION_COOKIE_AGE = 14 * 24 * 3600
# Without a page being asked for, a log-in ends after so long; of more log-ins at a time the one that was seen longest ago ends (ACC-16).
SESSION_IDLE_MINUTES = environment.integer("SIGNALIST_SESSION_IDLE_MINUTES", 720, minimum=5)
STAFF_MINUTES = environment.integer("SIGNALIST_STAFF_MINUTES", 30, minimum=1, maximum=480)
MAX_SESSIONS = environment.integer("SIGNALIST_MAX_SESSIONS", 10, minimum=1)

# Of guardian the typed tables alone are used (`tenants.grants`): no user for visitors, nothing added to users and groups, and no backend,
# which would let superusers pass wherever somebody asks Django and not the table of roles.
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = GUARDIAN_MONKEY_PATCH_GROUP = False
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]

# Another provider's log-in: Google's, or any that speaks OpenID Connect where the addresses below name it (ACC-01). Without a client
# id nothing is offered. An address that the provider has verified is the same person here.
_google_id = environment.text("GOOGLE_CLIENT_ID", "")
_google_at = environment.web_address(
    "OIDC_AUTHORIZE_URL", environment.text("OIDC_AUTHORIZE_URL", "https://accounts.google.com/o/oauth2/v2/auth")
)
SOCIALACCOUNT_ADAPTER = "tenants.adapters.OtherProvider"
SOCIALACCOUNT_PROVIDERS = {
    "google": {
        "APPS": [
            {
                "name": environment.text("OIDC_NAME", "Google"),
                "client_id": _google_id,
                "secret": environment.secret("GOOGLE_CLIENT_SECRET") or "",
            }
        ]
        if _google_id
        else [],
        "SCOPE": ["openid", "profile", "email"],
        "OAUTH_PKCE_ENABLED": True,
        "EMAIL_AUTHENTICATION": True,
        "AUTHORIZE_URL": _google_at,
        "ACCESS_TOKEN_URL": environment.text("OIDC_TOKEN_URL", "https://oauth2.googleapis.com/token"),
        "ID_TOKEN_ISSUER": environment.text("OIDC_ISSUER", "https://accounts.google.com"),
        "IDENTITY_URL": environment.text("OIDC_USERINFO_URL", "https://www.googleapis.com/oauth2/v2/userinfo"),
        "CERTS_URL": environment.text("OIDC_CERTS_URL", "https://www.googleapis.com/oauth2/v1/certs"),
    }
}
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
# A browser takes the redirect to the provider for the target of the form that led to it.
FORM_TARGETS = ["/".join(_google_at.split("/")[:3])] if _google_id else []

EMAIL_BACKEND = environment.text(
    "SIGNALIST_EMAIL_BACKEND",
    "django.core.mail.backends.smtp.EmailBackend" if PRODUCTION else "django.core.mail.backends.console.EmailBackend",
)
EMAIL_HOST = environment.text("EMAIL_HOST", "localhost")
EMAIL_PORT = environment.integer("EMAIL_PORT", 25, minimum=1, maximum=65_535)
EMAIL_HOST_USER = environment.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = environment.secret("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = environment.boolean("EMAIL_USE_TLS", False)
DEFAULT_FROM_EMAIL = environment.text("SIGNALIST_FROM_EMAIL", "Signalist <no-reply@localhost>")

# What counts attempts to log in must be one for all web processes, and must not be dropped because many count.
CACHE_URL = environment.cache_address("CACHE_URL", environment.secret("CACHE_URL"))
# A Redis that does not answer is waited for a second, then done without (`signalist.security.redis_cache`).
REDIS_CACHE: dict[str, Any] = {
    "BACKEND": "signalist.security.redis_cache.ForgivingRedisCache",
    "LOCATION": CACHE_URL,
    "OPTIONS": {"socket_timeout": 1.0, "socket_connect_timeout": 1.0},
}
CACHES: dict[str, dict[str, Any]] = {
    "default": REDIS_CACHE
    if CACHE_URL
    else {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "signalist_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- How often ---------------------------------------------------------------

# Requests in seconds (RATE-01 to RATE-06). Exits and what protects are never counted: see signalist/security/middleware.py.
RATE_LIMITED = environment.boolean("SIGNALIST_RATE_LIMITS", True)
_usual = environment.integer("API_RATE_LIMIT", 100, minimum=1)
RATE_LIMITS = {
    tier: environment.rate(f"SIGNALIST_LIMIT_{tier.upper()}", usual)
    for tier, usual in {
        "anonymous": f"{_usual}/900",  # by address
        "user": f"{_usual}/60",
        "tenant": f"{6 * _usual}/60",
        "authentication": "5/900",  # by address and the account that is asked for
        "trading": "30/60",
        "marketplace": "20/60",
        "export": "3/3600",
        "key": "1000/3600",
    }.items()
}
# A header in which a trusted proxy tells the visitor's country, two letters; without it a place is a network.
COUNTRY_HEADER = environment.text("SIGNALIST_COUNTRY_HEADER", "")

# --- Jobs --------------------------------------------------------------------

Q_CLUSTER = {
    "name": "signalist",
    "orm": "default",
    "workers": 1,
    "poll": 0.5,
    "bulk": 1,
    "timeout": 60,
    "retry": 90,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 250,
    "guard_cycle": 2,  # how often the cluster says that it lives, which is a write
    "label": "Jobs",
}

# --- Time and language -------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False

# --- Static files ------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
# Names with a hash of the content, compressed, cacheable for ever: made by `collectstatic`.
HASHED_STATIC = environment.boolean("SIGNALIST_HASHED_STATIC", PRODUCTION)
STATICFILES_DIRS = [folder for folder in (BASE_DIR / "static", VAR_DIR / "vendor") if folder.is_dir()]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if HASHED_STATIC
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not HASHED_STATIC

# --- Security ----------------------------------------------------------------

_local_hosts = ("localhost", "127.0.0.1", "[::1]")
ALLOWED_HOSTS = environment.listing("SIGNALIST_HOSTS", () if PRODUCTION else _local_hosts)
if PRODUCTION and (not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS):
    raise environment.Misconfigured(
        "Set SIGNALIST_HOSTS to the host names of this site, separated by commas, without *."
    )
# Where people find the site, for links in mails that no request has asked for.
SITE_ADDRESS = environment.web_address(
    "SIGNALIST_ADDRESS",
    environment.text("SIGNALIST_ADDRESS", f"https://{ALLOWED_HOSTS[0]}" if PRODUCTION else "http://127.0.0.1:8000"),
)
CSRF_TRUSTED_ORIGINS = environment.listing("SIGNALIST_TRUSTED_ORIGINS")

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

MAINTENANCE_FILE = VAR_DIR / "maintenance"

# Under these names a browser takes a cookie over https alone, from this host alone, so that no neighbour plants one.
if PRODUCTION:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_SECURE = PRODUCTION
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^health$"]  # who asks that stands beside the process, without a proxy between
SECURE_HSTS_SECONDS = environment.integer("SIGNALIST_HSTS_SECONDS", 31_536_000 if PRODUCTION else 0, minimum=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
# Only a proxy that sets these headers may be trusted with them, so it is asked for by name. Tries to log in are counted by address:
# the last one in X-Forwarded-For, which the proxy has added; without it all visitors would share the proxy's.
BEHIND_PROXY = environment.boolean("SIGNALIST_BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if BEHIND_PROXY else 0

# What is mailed or logged of an exception names variables and form fields, and holds none.
DEFAULT_EXCEPTION_REPORTER_FILTER = "signalist.display.reports.NothingHeld"

# --- Logs --------------------------------------------------------------------

LOGGING_CONFIG = "signalist.logs.configure"
LOGGING = {
    "json": environment.text("SIGNALIST_LOGS", "json" if PRODUCTION else "console", choices=("json", "console"))
    == "json",
    "level": environment.text("SIGNALIST_LOG_LEVEL", "INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
}
