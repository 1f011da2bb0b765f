"""Users, tenants, roles and sealed credentials, and the two doors to tenant data."""
