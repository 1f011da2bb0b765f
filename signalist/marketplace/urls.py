"""Addresses of the marketplace and of subscriptions."""

from __future__ import annotations

from django.urls import path

from signalist.marketplace.pages import following, moving, public, subscribing

urlpatterns = [
    path("marketplace/", public.marketplace, name="marketplace"),
    path("marketplace/<slug:slug>/", public.strategy, name="strategy"),
    path("marketplace/<slug:slug>/subscribe/", subscribing.subscribe, name="subscribe"),
    path("subscriptions/", following.subscriptions, name="subscriptions"),
    path("subscriptions/<uuid:public_id>/", following.subscription, name="subscription"),
    path("subscriptions/<uuid:public_id>/pause/", following.pause, name="subscription_pause"),
    path("subscriptions/<uuid:public_id>/resume/", following.resume, name="subscription_resume"),
    path("subscriptions/<uuid:public_id>/cancel/", following.cancel, name="subscription_cancel"),
    path("subscriptions/<uuid:public_id>/version/", moving.newer_version, name="newer_version"),
    path("subscriptions/<uuid:public_id>/terms/", following.terms, name="subscription_terms"),
]
