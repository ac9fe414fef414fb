"""The report page, an HTML file that shows and compares runs."""
