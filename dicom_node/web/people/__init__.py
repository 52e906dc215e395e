"""Who looks: accounts, passwords, sessions."""
