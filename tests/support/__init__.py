"""What the tests share: projects and databases of their own, commands, variants, releases."""
