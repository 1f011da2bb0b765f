"""Who works together: invitations, members and their roles, ownership, and going from one workspace to another."""
