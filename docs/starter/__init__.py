"""The starter page: Copier in the browser, and what builds it."""
