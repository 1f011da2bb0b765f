# One image for all three processes: web (the default command), `manage.py qcluster` and `manage.py engine`. See compose.yaml.

FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements requirements
COPY .ci/image .ci/image
RUN .ci/image install /opt/venv
COPY . .
RUN .ci/image collect /opt/venv

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SIGNALIST_ENV=production
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin signalist
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
# Everything belongs to root and is only read, but for what a process may keep for itself.
RUN install -d -o signalist -g signalist var/run
USER signalist
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "manage.py", "health", "web"]
CMD ["python", "-m", "daphne", "-v", "0", "-b", "0.0.0.0", "-p", "8000", "signalist.asgi:application"]
