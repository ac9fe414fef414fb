"""The report page: what runs keep of themselves, how it is read, and the page."""
